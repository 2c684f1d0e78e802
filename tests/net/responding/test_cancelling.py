"""Single requests are stopped: by their clients, with sessions (sessions 2.1)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.peers import frame, item, parse_frames
from support.responding import Responding, ensure_deferred, make_command
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.commands import CommandError
from wiredaemon.net.responding.interfaces import Admitted
from wiredaemon.protocol.responses import EncodingWork
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from wiredaemon.protocol import RequestReceived

SETTINGS: Final = frame(8, 2, b"\xa1Gsession\x01")
ZLIB: Final = frame(8, 2, item({b"session": 1, b"contentencodings": [b"zlib"]}, canonical=False))
CANCELLED: Final = item(
    {b"type": b"command", b"message": [{b"msg": b"the call was cancelled"}]}, canonical=False
)


def cancel(request_id: int) -> bytes:
    return frame(13, 2, request_id=request_id)


def in_session(*commands: Any, limits: Limits | None = None, on: Any = None) -> Responding:
    run = Responding("0006", *commands, half_duplex=False, reactor=on, limits=limits)
    run.receive(SETTINGS)
    return run


def cancelled_of(run: Responding) -> list[int]:
    """Return the requests that were told that they are cancelled, in order."""
    frames = parse_frames(run.transport.wire)
    return [one.request_id for one in frames if one.payload == CANCELLED and one.type_number == 5]


def echo(_: Any) -> bytes:
    return b"echo"


def test_a_coroutine_is_cancelled_and_its_place_is_free() -> None:
    seen: list[str] = []

    async def waits(_: Any) -> bytes:
        try:
            await Deferred()
        except CancelledError:
            seen.append("cancelled")
            raise
        return b""

    run = in_session(make_command(waits), make_command(echo), limits=Limits(running_commands=1))
    run.ask(1, "waits")
    run.ask(3, "echo")
    assert run.responder.running.keys() == {1}
    run.receive(cancel(1))
    assert seen == ["cancelled"]
    assert cancelled_of(run) == [1]
    assert run.answers[3].content == run.result(b"echo")
    assert (dict(run.responder.running), run.connection.may_read_on) == ({}, True)
    # Its id may be used again, and a second cancel of an answered request is nothing.
    run.receive(cancel(1), cancel(1))
    run.ask(1, "echo")
    assert cancelled_of(run) == [1]


def test_a_command_that_swallows_its_cancellation_is_answered_once() -> None:
    waiting: Deferred[bytes] = Deferred()

    async def stubborn(_: Any) -> bytes:
        try:
            await Deferred()
        except CancelledError:
            return await waiting
        return b""

    run = in_session(make_command(stubborn))
    run.ask(1, "stubborn")
    run.receive(cancel(1))
    waiting.callback(b"late")
    assert cancelled_of(run) == [1]
    assert len([one for one in parse_frames(run.transport.wire) if one.request_id == 1]) == 1


def test_generators_of_both_kinds_are_closed() -> None:
    closed: list[str] = []

    def objects(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(40_000)
        finally:
            closed.append("objects")

    async def later(_: Any) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"one"
                await Deferred()
        finally:
            closed.append("later")

    run = in_session(make_command(objects), make_command(later))
    run.ask(3, "later")
    run.ask(1, "objects")
    run.responder.pauseProducing()
    run.receive(cancel(1), cancel(3))
    assert closed == ["objects", "later"]
    assert cancelled_of(run) == [1, 3]
    before = run.transport.size
    run.responder.resumeProducing()
    run.run_turns()
    assert run.transport.size == before


def test_a_queued_request_never_starts() -> None:
    seen: list[str] = []

    def waits(_: Any) -> Deferred[bytes]:
        return Deferred()

    def noted(_: Any) -> bytes:
        seen.append("called")
        return b""

    run = in_session(make_command(waits), make_command(noted), limits=Limits(running_commands=1))
    run.ask(1, "waits")
    run.ask(3, "noted")
    run.ask(5, "noted")
    run.receive(cancel(3), cancel(1))
    assert seen == ["called"]
    assert cancelled_of(run) == [3, 1]
    assert run.answers[5].content == run.result(b"")


def test_a_command_that_waits_for_data_is_cancelled_and_the_rest_is_dropped() -> None:
    seen: list[bytes] = []

    async def reads(context: Any) -> bytes:
        pieces = aiter(context.data)
        seen.append(await anext(pieces))
        seen.append(await anext(pieces))
        return b""

    run = in_session(make_command(reads, has_data=True), make_command(echo))
    run.announce(1, "reads")
    run.data(1, b"one")
    run.receive(cancel(1))
    run.data(1, b"two")
    run.data(1, b"", is_last=True)
    run.ask(3, "echo")
    assert seen == [b"one"]
    assert cancelled_of(run) == [1]
    assert run.answers[3].content == run.result(b"echo")


def test_data_that_no_command_reads_is_dropped_with_its_request() -> None:
    seen: list[str] = []

    def noted(_: Any) -> bytes:
        seen.append("called")
        return b""

    run = in_session(make_command(noted))
    run.announce(1, "noted")
    run.data(1, b"one")
    run.receive(cancel(1))
    run.data(1, b"", is_last=True)
    assert (seen, cancelled_of(run)) == ([], [1])


def test_a_request_that_is_answered_in_the_same_read_is_not_cancelled() -> None:
    run = in_session(make_command(echo))
    (request,) = peers.request_frames("0006", 1, b"echo")
    run.receive(request + cancel(1))
    assert cancelled_of(run) == []
    assert run.answers[1].content == run.result(b"echo")


@pytest.mark.parametrize("outcome", ["admitted", "refused"])
def test_a_request_is_cancelled_while_its_admission_is_decided(
    outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(_: Any) -> bytes:
        seen.append("called")
        return b""

    command = make_command(noted)
    run = in_session(command)
    asked: Deferred[Admitted] = Deferred()
    admission = run.input._admission
    at_once = admission.admit

    def admit(event: RequestReceived) -> Admitted | Deferred[Admitted]:
        return asked if event.request_id == 1 else at_once(event)

    monkeypatch.setattr(admission, "admit", admit)
    (first,) = peers.request_frames("0006", 1, b"noted")
    (second,) = peers.request_frames("0006", 3, b"noted")
    (third,) = peers.request_frames("0006", 5, b"noted")
    run.receive(first + second + third + cancel(3) + cancel(1))
    assert cancelled_of(run) == [3, 1]
    if outcome == "admitted":
        admitted = at_once(run_event(3))
        assert isinstance(admitted, Admitted)
        asked.callback(admitted)
    else:
        asked.errback(CommandError("no"))
    assert seen == ["called"]
    assert set(run.answers) == {1, 3, 5}


def run_event(request_id: int) -> RequestReceived:
    from wiredaemon.protocol import RequestReceived  # noqa: PLC0415

    return RequestReceived(request_id, b"noted", {})


@ensure_deferred
async def test_a_blocking_command_is_told_and_its_thread_counts_until_it_returns() -> None:
    began, told = threading.Event(), threading.Event()
    may_end = threading.Event()
    answered: Deferred[None] = Deferred()

    def blocks(context: Any) -> bytes:
        began.set()
        while not context.cancelled:
            told.wait(0.001)
        told.set()
        may_end.wait(20)
        return b"too late"

    def quick(_: Any) -> bytes:
        return b"quick"

    run = in_session(
        make_command(blocks, is_blocking=True),
        make_command(quick, is_blocking=True),
        make_command(echo),
        limits=Limits(running_commands=1),
        on=reactor,
    )
    run.ask(1, "blocks")
    began.wait(20)
    run.receive(cancel(1))
    told.wait(20)
    assert cancelled_of(run) == [1]
    # A place is free, but not for one more thread.
    run.ask(3, "echo")
    assert run.answers[3].content == run.result(b"echo")
    run.ask(5, "quick")
    assert (dict(run.responder.running), run.responder.stopping) == ({}, 1)
    run.transport.on_write = lambda: answered.callback(None)
    may_end.set()
    await answered
    assert run.answers[5].content == run.result(b"quick")
    assert run.responder.stopping == 0


@ensure_deferred
async def test_a_blocking_command_that_waits_for_a_thread_is_never_called() -> None:
    seen: list[int] = []
    began, may_end = threading.Event(), threading.Event()
    answered: Deferred[None] = Deferred()

    def blocks(_: Any) -> bytes:
        seen.append(1)
        began.set()
        may_end.wait(20)
        return b"done"

    run = in_session(
        make_command(blocks, is_blocking=True), limits=Limits(blocking_threads=1), on=reactor
    )
    run.ask(1, "blocks")
    run.ask(3, "blocks")
    began.wait(20)
    run.receive(cancel(3))
    assert (cancelled_of(run), run.responder.stopping) == ([3], 0)
    run.transport.on_write = lambda: answered.callback(None)
    may_end.set()
    await answered
    assert seen == [1]
    assert run.answers[1].content == run.result(b"done")


@ensure_deferred
async def test_a_blocking_generator_is_closed_in_its_thread() -> None:
    closed: Deferred[str] = Deferred()

    def blocks(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            name = threading.current_thread().name
            reactor.callFromThread(closed.callback, name)  # type: ignore[attr-defined]

    run = in_session(make_command(blocks, is_blocking=True), on=reactor)
    written: Deferred[None] = Deferred()

    def stop_reading() -> None:
        run.transport.on_write = None
        run.responder.pauseProducing()
        written.callback(None)

    run.transport.on_write = stop_reading
    run.ask(1, "blocks")
    await written
    run.receive(cancel(1))
    assert await closed != threading.main_thread().name
    assert cancelled_of(run) == [1]


@ensure_deferred
async def test_an_answer_that_a_thread_encodes_is_ended_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_end = threading.Event()
    encode = EncodingWork.run

    def slow(work: EncodingWork) -> None:
        may_end.wait(20)
        encode(work)

    monkeypatch.setattr(EncodingWork, "run", slow)
    closed: list[str] = []

    def objects(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(range(256)) * 1024
        finally:
            closed.append("closed")

    run = Responding(
        "0006", make_command(objects), make_command(echo), half_duplex=False, reactor=reactor
    )
    run.receive(ZLIB)
    run.ask(1, "objects")
    run.receive(cancel(1), cancel(1))
    assert (closed, cancelled_of(run)) == (["closed"], [])
    ended: Deferred[None] = Deferred()
    run.transport.on_write = lambda: ended.callback(None)
    may_end.set()
    await ended
    run.transport.on_write = None
    assert cancelled_of(run) == [1]
    # The stream goes on where its encoder is: a client can decode what follows.
    run.ask(3, "echo")
    assert run.answers[3].content == run.result(b"echo")


@ensure_deferred
async def test_a_connection_that_is_lost_while_an_abandoned_object_is_encoded_ends_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_end = threading.Event()
    done: Deferred[None] = Deferred()

    def slow(_: EncodingWork) -> None:
        may_end.wait(20)
        reactor.callFromThread(done.callback, None)  # type: ignore[attr-defined]

    monkeypatch.setattr(EncodingWork, "run", slow)

    def large(_: Any) -> bytes:
        return bytes(1024 * 1024)

    run = Responding("0006", make_command(large), half_duplex=False, reactor=reactor)
    run.receive(ZLIB)
    run.ask(1, "large")
    run.receive(cancel(1))
    run.responder.stop()
    may_end.set()
    await done
    assert cancelled_of(run) == []
