"""Requests with a deadline, in every dialect that has maps and in both duplexes: sessions 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.feeding import MAPS
from support.kinds import both_duplexes
from support.raw import refusal
from support.responding import FINISHED, Responding, make_command
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wiredaemon.net.responding.blocking import BlockingContext
from wiredaemon.net.responding.command_data import NO_DATA
from wiredaemon.net.responding.interfaces import Admitted
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.protocol import RequestReceived

every_map_dialect = pytest.mark.parametrize("dialect", MAPS)
REFUSED = b"timeout must be an integer of 1 to 2147483647, in milliseconds"


def passed(dialect: str, milliseconds: bytes = b"250") -> peers.Answer:
    return refusal(dialect, b"the deadline of %s ms has passed", milliseconds)


def timed(
    run: Responding, request_id: int, name: bytes, timeout: object, data: bytes | None = None
) -> bytes:
    """The frames of a request with a deadline, the end of its data aside."""
    content = peers.item({b"name": name, b"timeout": timeout}, canonical=run.dialect != "0006")
    return b"".join(peers.map_frames(run.dialect, request_id, content, has_data=data is not None))


async def waits(_: Any) -> bytes:
    await Deferred()
    return b""


def quick(_: Any) -> bytes:
    return b"quick"


@every_map_dialect
@both_duplexes
def test_a_command_that_takes_too_long_is_stopped_and_answered(
    dialect: str, *, half_duplex: bool
) -> None:
    stopped: list[str] = []

    async def slow(context: Any) -> bytes:
        assert (context.deadline, context.time_left) == (0.25, 0.25)
        run.clock.advance(0.2)
        assert context.time_left == pytest.approx(0.05)
        try:
            await Deferred()
        except CancelledError:
            stopped.append("slow")
            assert (context.cancelled, context.time_left) == (True, 0.0)
            raise
        return b""

    run = Responding(dialect, make_command(slow), make_command(quick), half_duplex=half_duplex)
    run.receive(timed(run, 1, b"slow", 250))
    run.ask(3, "quick")
    run.end()
    run.clock.advance(0.04)
    assert stopped == []
    run.clock.advance(0.02)
    assert stopped == ["slow"]
    assert run.answers[1] == passed(dialect)
    assert run.answers[3].content == run.result(b"quick")
    assert run.transport.outcomes == [FINISHED]
    assert run.clock.getDelayedCalls() == []


@every_map_dialect
@both_duplexes
def test_a_command_that_is_quick_leaves_no_timer(dialect: str, *, half_duplex: bool) -> None:
    def seen(context: Any) -> bytes:
        return b"%d" % (context.deadline * 1000)

    run = Responding(dialect, make_command(seen), half_duplex=half_duplex)
    for number, timeout in ((1, 1), (3, (1 << 31) - 1)):
        run.receive(timed(run, number, b"seen", timeout))
    run.end()
    assert run.answers[1].content == run.result(b"1")
    assert run.answers[3].content == run.result(b"2147483647")
    assert run.clock.getDelayedCalls() == []


@every_map_dialect
@pytest.mark.parametrize("timeout", [0, -1, True, 1 << 31, b"1", None, [1]])
def test_a_timeout_that_is_none_is_refused(dialect: str, timeout: object) -> None:
    run = Responding(dialect, make_command(quick))
    run.receive(timed(run, 1, b"quick", timeout))
    run.end()
    assert run.answers[1] == refusal(dialect, REFUSED)


def test_a_request_that_waits_for_others_is_late_too() -> None:
    run = Responding(
        "0006",
        make_command(waits),
        make_command(quick),
        half_duplex=False,
        limits=Limits(running_commands=1),
    )
    run.ask(1, "waits")
    run.receive(timed(run, 3, b"quick", 250), timed(run, 5, b"quick", 250))
    run.receive(timed(run, 7, b"quick", 0))
    run.clock.advance(0.25)
    assert run.answers == {3: passed("0006"), 5: passed("0006")}
    assert run.clock.getDelayedCalls() == []


def test_waiting_counts_for_a_command_that_starts_later() -> None:
    first: Deferred[bytes] = Deferred()
    left: list[float] = []

    def begin(_: Any) -> Deferred[bytes]:
        return first

    async def slow(context: Any) -> bytes:
        left.append(context.time_left)
        await Deferred()
        return b""

    run = Responding(
        "0006",
        make_command(begin),
        make_command(slow),
        half_duplex=False,
        limits=Limits(running_commands=1),
    )
    run.ask(1, "begin")
    run.receive(timed(run, 3, b"slow", 250))
    run.clock.advance(0.1)
    first.callback(b"")
    assert left == [pytest.approx(0.15)]
    run.clock.advance(0.149)
    assert 3 not in run.answers
    run.clock.advance(0.002)
    assert run.answers[3] == passed("0006")


@both_duplexes
def test_data_of_a_late_request_is_dropped(*, half_duplex: bool) -> None:
    async def reads(context: Any) -> bytes:
        return await context.data.read()  # type: ignore[no-any-return]

    run = Responding(
        "0006",
        make_command(reads, has_data=True),
        make_command(quick),
        half_duplex=half_duplex,
    )
    # One command reads its data, the other one does not.
    run.receive(timed(run, 1, b"reads", 250, b""), timed(run, 3, b"quick", 250, b""))
    run.clock.advance(0.25)
    for number in (1, 3):
        run.data(number, b"more")
        run.data(number, b"", is_last=True)
    run.ask(5, "quick")
    run.end()
    assert run.answers[1] == run.answers[3] == passed("0006")
    assert run.answers[5].content == run.result(b"quick")
    assert run.transport.outcomes == [FINISHED]


def test_a_request_is_late_while_its_admission_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def noted(_: Any) -> bytes:
        called.append("called")
        return b""

    run = Responding("0006", make_command(noted), half_duplex=False)
    asked: Deferred[Admitted] = Deferred()
    admission = run.input._admission
    at_once = admission.admit

    def admit(event: RequestReceived) -> Admitted | Deferred[Admitted]:
        return asked if event.request_id == 1 else at_once(event)

    monkeypatch.setattr(admission, "admit", admit)
    run.receive(timed(run, 1, b"noted", 250) + timed(run, 3, b"noted", 250))
    run.clock.advance(0.25)
    assert run.answers == {1: passed("0006"), 3: passed("0006")}
    asked.callback(Admitted(make_command(noted), None))  # type: ignore[arg-type]
    run.ask(5, "noted")
    assert called == ["called"]


@every_map_dialect
def test_behind_objects_the_deadline_is_told_by_an_error_frame(dialect: str) -> None:
    def objects(_: Any) -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    run = Responding(dialect, make_command(objects), half_duplex=False)
    run.receive(timed(run, 1, b"objects", 250))
    run.responder.pauseProducing()
    run.clock.advance(0.25)
    text = b"the deadline of 250 ms has passed"
    last = peers.parse_frames(run.transport.wire)[-1]
    error: object = text
    if dialect in {"0005", "0006"}:
        content = {b"type": b"command", b"message": [{b"msg": text}]}
        error = peers.item(content, canonical=dialect != "0006")
    assert (last.type_number, last.payload) == (5, error)


def test_a_lost_connection_leaves_no_timer() -> None:
    run = Responding(
        "0006", make_command(waits), half_duplex=False, limits=Limits(running_commands=1)
    )
    run.receive(timed(run, 1, b"waits", 250), timed(run, 3, b"waits", 250))
    assert len(run.clock.getDelayedCalls()) == 2
    run.responder.stop()
    assert run.clock.getDelayedCalls() == []


def test_a_blocking_command_sees_its_deadline() -> None:
    context = _Timed(deadline=3.5, time_left=1.5)
    blocking = BlockingContext(context, Clock())  # type: ignore[arg-type]
    assert (blocking.deadline, blocking.time_left) == (3.5, 1.5)


class _Timed:
    """The part of a context that has to do with time."""

    data = NO_DATA

    def __init__(self, *, deadline: float, time_left: float) -> None:
        self.deadline = deadline
        self.time_left = time_left
