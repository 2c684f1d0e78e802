"""What one request asks of a repository's workers, and in whose name."""

from __future__ import annotations

from typing import Any, Final

import pytest
from support.asked_pool import AskedPool
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Peer, Permission, ServerError
from wiredaemon.net.hosting.repository_handle import RepositoryHandle, share_of
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.wire.values import Encoded

_case: Final = SynchronousTestCase()

ANN: Final = Peer(address="10.0.0.1:99", user="ann")
PATH: Final = b"/srv/repository"


class ScriptedStream:
    """Gives pieces, and then ends or waits."""

    def __init__(self, *pieces: list[bytes], error: Exception | None = None) -> None:
        self._pieces = [*pieces, []]
        self._error = error
        self.closed = 0

    async def read(self) -> list[bytes]:
        if self._error is not None and len(self._pieces) == 1:
            raise self._error
        return self._pieces.pop(0)

    def close(self) -> None:
        self.closed += 1


class ToldGate:
    """Holds commands back as long as the test says."""

    def __init__(self, waiting: Deferred[None] | None) -> None:
        self.waiting = waiting
        self.told: list[Permission] = []

    def wait(self, permission: Permission) -> Deferred[None] | None:
        self.told.append(permission)
        return self.waiting


class Handled:
    """A handle and what it stands on."""

    def __init__(
        self, waiting: Deferred[None] | None = None, permission: Permission = Permission.RO
    ) -> None:
        self.pool = AskedPool()
        self.gate = ToldGate(waiting)
        pool: Any = self.pool
        gate: Any = self.gate
        context = CallContext(repository=PATH, user="ann", permission=permission)
        self.handle = RepositoryHandle(context, pool, gate, share_of(ANN))


CONTEXT: Final = CallContext(repository=PATH, user="ann", permission=Permission.RO)
CALLED: Final = (CONTEXT, b"heads", {b"a": 1})
OPENED: Final = (CONTEXT, b"stream", {b"a": 1}, "user ann", False)


# --- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "user", "share"),
    [
        ("10.0.0.1:99", None, "10.0.0.1"),
        ("10.0.0.1:98", "", "10.0.0.1"),
        ("10.0.0.1:99", "ann", "user ann"),
        ("127.0.0.1:99", "ann", "user ann"),
        ("127.0.0.1:99", None, None),
        ("127.8.8.8:99", None, None),
        ("::1:99", None, None),
        ("2001:db8::1:99", None, "2001:db8::1"),
        ("fe80::1%eth0:99", None, "fe80::1%eth0"),
        ("/run/wiredaemon.socket", None, None),
    ],
)
def test_a_share_is_a_user_s_or_an_address_s_and_none_on_this_machine(
    address: str, user: str | None, share: str | None
) -> None:
    assert share_of(Peer(address=address, user=user)) == share


# --- calls -------------------------------------------------------------------------------------


def test_a_value_is_asked_for_in_the_peer_s_name() -> None:
    handled = Handled()
    answer = handled.handle.call(b"heads", {b"a": 1})
    assert handled.pool.asked == [CALLED]
    assert handled.gate.told == [Permission.RO]
    handled.pool.answers[0].callback([b"node"])
    assert _case.successResultOf(answer) == [b"node"]


def test_a_value_waits_for_the_recovery() -> None:
    waiting: Deferred[None] = Deferred()
    handled = Handled(waiting)
    answer = handled.handle.call(b"heads", {b"a": 1})
    assert handled.pool.asked == []
    waiting.callback(None)
    assert handled.pool.asked == [CALLED]
    handled.pool.answers[0].callback(b"late")
    assert _case.successResultOf(answer) == b"late"


def test_a_call_cancelled_while_it_waits_is_never_made() -> None:
    waiting: Deferred[None] = Deferred()
    handled = Handled(waiting)
    answer = handled.handle.call(b"heads", {})
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    assert handled.pool.asked == []


def test_a_call_cancelled_while_it_runs_is_cancelled_in_the_pool() -> None:
    waiting: Deferred[None] = Deferred()
    handled = Handled(waiting)
    answer = handled.handle.call(b"heads", {})
    waiting.callback(None)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    assert handled.pool.answers[0].called


# --- streams -----------------------------------------------------------------------------------


async def collect(handle: RepositoryHandle, most: int = 99) -> list[Encoded]:
    parts: list[Encoded] = []
    stream = handle.stream(b"stream", {b"a": 1})
    async for part in stream:
        parts.append(part)
        if len(parts) == most:
            break
    await stream.aclose()
    return parts


def test_a_stream_is_passed_on_as_it_comes_and_closed_at_the_end() -> None:
    handled = Handled()
    collected = Deferred.fromCoroutine(collect(handled.handle))
    assert handled.pool.asked == [OPENED]
    stream = ScriptedStream([b"one", b"two"], [b"three"])
    handled.pool.answers[0].callback(stream)
    expected = [Encoded([b"one", b"two"]), Encoded([b"three"])]
    assert _case.successResultOf(collected) == expected
    assert stream.closed == 1


def test_a_stream_that_is_left_early_is_closed() -> None:
    handled = Handled()
    stream = ScriptedStream([b"one"], [b"two"])
    collected = Deferred.fromCoroutine(collect(handled.handle, 1))
    handled.pool.answers[0].callback(stream)
    assert _case.successResultOf(collected) == [Encoded([b"one"])]
    assert stream.closed == 1


def test_a_stream_that_fails_is_closed_and_its_error_told() -> None:
    handled = Handled()
    stream = ScriptedStream([b"one"], error=ServerError("gone"))
    collected = Deferred.fromCoroutine(collect(handled.handle))
    handled.pool.answers[0].callback(stream)
    _case.failureResultOf(collected, ServerError)
    assert stream.closed == 1


def test_a_stream_that_cannot_be_opened_tells_why() -> None:
    handled = Handled()
    collected = Deferred.fromCoroutine(collect(handled.handle))
    handled.pool.answers[0].errback(ServerError("busy"))
    assert str(_case.failureResultOf(collected, ServerError).value) == "busy"


def test_opening_waits_for_the_recovery_and_says_that_data_follows() -> None:
    waiting: Deferred[None] = Deferred()
    handled = Handled(waiting, Permission.RW)
    opened = Deferred.fromCoroutine(handled.handle.open(b"web", {}, has_data=True))
    assert handled.gate.told == [Permission.RW]
    assert handled.pool.asked == []
    waiting.callback(None)
    context = CallContext(repository=PATH, user="ann", permission=Permission.RW)
    assert handled.pool.asked == [(context, b"web", {}, "user ann", True)]
    stream: Any = ScriptedStream()
    handled.pool.answers[0].callback(stream)
    assert _case.successResultOf(opened) is stream


def test_opening_that_is_cancelled_while_it_waits_asks_for_nothing() -> None:
    waiting: Deferred[None] = Deferred()
    handled = Handled(waiting)
    opened = Deferred.fromCoroutine(handled.handle.open(b"web", {}))
    opened.cancel()
    _case.failureResultOf(opened, CancelledError)
    waiting.callback(None)
    assert handled.pool.asked == []


def test_what_streams_hold_in_memory_is_counted_as_long_as_they_do() -> None:
    handled = Handled()
    assert handled.handle.held == 0
    for size in (100, 20):
        opened = Deferred.fromCoroutine(handled.handle.open(b"stream", {}))
        stream: Any = ScriptedStream()
        stream.held = size
        handled.pool.answers[-1].callback(stream)
        _case.successResultOf(opened)
    # The first one is nobody's by now.
    assert handled.handle.held == 20
