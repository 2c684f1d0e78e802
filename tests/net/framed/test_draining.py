"""Raw connections of a daemon that stops, in memory."""

from __future__ import annotations

from typing import Any

import pytest
from support.raw import Raw, protocol_error, server_error
from support.responding import make_command
from support.web import FakeHost, settings_of
from twisted.internet.defer import Deferred

STOPPING = b"the server is stopping"


def plain(_: Any) -> bytes:
    return b"plain"


async def count(context: Any) -> int:
    return sum([len(piece) async for piece in context.data])


class Slow:
    """A connection on which a command runs until the test ends it."""

    def __init__(self, dialect: str = "0006", *, is_tls: bool = False) -> None:
        self.result: Deferred[bytes] = Deferred()

        async def slow(_: Any) -> bytes:
            return await self.result

        commands = [make_command(slow), make_command(plain), make_command(count, has_data=True)]
        self.raw = Raw(dialect, *commands, is_tls=is_tls)

    def drain(self) -> None:
        self.raw.protocol.drain(0)


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("dialect", ["0002", "0003", "0005", "0006"])
def test_an_idle_connection_is_told_why_and_closed(
    dialect: str, before: int, *, is_tls: bool
) -> None:
    slow = Slow(dialect, is_tls=is_tls)
    if is_tls:
        slow.raw.protocol.handshakeCompleted()
    for _ in range(before):
        slow.raw.ask(1, "plain")
    slow.drain()
    assert slow.raw.answers[0].error == protocol_error(dialect, STOPPING)
    assert not slow.raw.transport.is_open()
    assert not slow.raw.transport.is_aborted()
    sent = slow.raw.wire
    slow.drain()
    assert slow.raw.wire == sent


def test_in_a_handshake_there_is_nothing_to_tell() -> None:
    slow = Slow(is_tls=True)
    slow.drain()
    assert slow.raw.wire == b""
    assert not slow.raw.transport.is_open()


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("dialect", ["0002", "0003", "0005", "0006"])
def test_what_runs_ends_and_what_comes_is_refused(dialect: str, *, is_tls: bool) -> None:
    slow = Slow(dialect, is_tls=is_tls)
    raw = slow.raw
    raw.ask(1, "slow")
    slow.drain()
    assert raw.transport.is_open()
    raw.ask(3, "plain")
    assert raw.answers[3] == server_error(dialect, STOPPING)
    slow.drain()
    assert raw.transport.is_open()
    slow.result.callback(b"done")
    assert raw.transport.is_open()
    slow.drain()
    assert not raw.transport.is_open()
    assert raw.answers[1].error is None
    assert b"done" in raw.answers[1].content


def test_data_of_a_command_that_runs_is_still_read() -> None:
    slow = Slow()
    frames = slow.raw.request(1, "count", b"12345")
    slow.raw.receive(frames[:-3])
    slow.drain()
    slow.drain()
    assert slow.raw.transport.is_open()
    slow.raw.receive(frames[-3:])
    slow.drain()
    assert slow.raw.contents(1)[0].endswith(b"\x05")
    assert not slow.raw.transport.is_open()


def test_a_request_that_waits_for_its_admission_is_answered() -> None:
    host = FakeHost([make_command(plain)])
    settings: Any = Deferred()
    host.now = settings
    raw = Raw(host=host)
    raw.ask(1, "plain")
    raw.protocol.drain(0)
    assert raw.transport.is_open()
    settings.callback(settings_of())
    raw.protocol.drain(0)
    assert not raw.transport.is_open()
    assert raw.contents(1)


def test_half_a_request_is_not_waited_for() -> None:
    slow = Slow()
    slow.raw.receive(slow.raw.request(1, "plain")[:-1])
    slow.drain()
    assert slow.raw.answers[0].error == protocol_error("0006", STOPPING)
    assert not slow.raw.transport.is_open()
