"""Blocking commands in threads: results, errors, back-pressure and cancellation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from support.kinds import (
    OBJECT,
    Ended,
    Objects,
    both_duplexes,
    every_dialect,
    plain,
    taken_failures,
)
from support.responding import (
    CRASHED,
    UNSENDABLE,
    Responding,
    ensure_deferred,
    make_command,
)
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread

from wiredaemon.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


def in_threads(dialect: str, *commands: Any, half_duplex: bool = True) -> Responding:
    return Responding(dialect, *commands, half_duplex=half_duplex, reactor=reactor)


@every_dialect
@both_duplexes
@ensure_deferred
async def test_blocking_commands_run_in_threads(dialect: str, *, half_duplex: bool) -> None:
    threads: list[threading.Thread] = []

    def function(context: Any) -> bytes:
        threads.append(threading.current_thread())
        return b"%d" % len(context.data.read())

    def objects(context: Any) -> Iterator[bytes]:
        threads.append(threading.current_thread())
        yield from context.data
        yield context.peer.address.encode()

    run = in_threads(
        dialect,
        make_command(function, has_data=True, is_blocking=True),
        make_command(objects, has_data=True, is_blocking=True),
        half_duplex=half_duplex,
    )
    ended = Ended(run)
    run.ask(1, "function", data=bytes(100))
    run.ask(3, "objects", data=b"data")
    run.end()
    await ended.deferred
    assert run.answers[1].content == run.result(b"100")
    assert run.answers[3].content == run.result(b"data", b"10.0.0.1:99")
    assert threading.main_thread() not in threads


@every_dialect
@ensure_deferred
async def test_errors_of_blocking_commands(dialect: str, logged: list[LogEvent]) -> None:
    closed: list[str] = []

    def crashes_in_a_thread(_: Any) -> bytes:
        raise ValueError("secret")

    def fails(_: Any) -> bytes:
        raise CommandError("documented")

    def crashes_behind(_: Any) -> Iterator[bytes]:
        yield b"whole"
        raise ValueError("secret")

    def unsendable(_: Any) -> Iterator[Any]:
        try:
            yield object()
            yield b"never"
        finally:
            closed.append("closed")

    functions = (crashes_in_a_thread, fails, crashes_behind, unsendable)
    run = in_threads(
        dialect,
        *(make_command(function, is_blocking=True) for function in functions),
        make_command(plain),
    )
    ended = Ended(run)
    for number, function in enumerate(functions):
        run.ask(2 * number + 1, function.__name__)
    run.ask(9, "plain")
    run.end()
    await ended.deferred
    found = taken_failures(logged)
    assert [event["command"] for event in found] == [
        "crashes_in_a_thread",
        "crashes_behind",
        "unsendable",
    ]
    assert run.transport.wire.count(CRASHED) == 2
    assert run.transport.wire.count(UNSENDABLE) == 1
    assert b"secret" not in run.transport.wire
    assert b"documented" in run.transport.wire
    assert closed == ["closed"]
    assert run.answers[9].content == run.result(b"plain")


@both_duplexes
@ensure_deferred
async def test_a_thread_waits_while_the_peer_takes_nothing_and_then_goes_on(
    *, half_duplex: bool
) -> None:
    source = Objects(total=200)
    run = in_threads(
        "0006", make_command(source.objects, is_blocking=True), half_duplex=half_duplex
    )
    written: list[Deferred[None]] = [Deferred()]
    ended = Ended(run)

    def on_write() -> None:
        run.responder.pauseProducing()
        written[-1].callback(None)

    run.transport.on_write = on_write
    run.ask(1, "objects")
    run.end()
    while not run.transport.outcomes:
        await written[-1]
        # A batch is with the peer, at most one more is on its way from the thread.
        ahead = source.taken * len(OBJECT) - run.transport.size
        assert ahead <= 2 * run.limits.output_high
        written.append(Deferred())
        run.responder.resumeProducing()
        if source.taken == 200 and run.transport.outcomes == []:
            break
    run.transport.on_write = None
    run.responder.resumeProducing()
    await ended.deferred
    assert run.answers[1].content == run.result(*[OBJECT] * 200)


@ensure_deferred
async def test_a_thread_that_waits_for_room_ends_when_the_peer_leaves() -> None:
    closed = threading.Event()

    def endless(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield OBJECT
        finally:
            closed.set()

    run = in_threads("0006", make_command(endless, is_blocking=True), half_duplex=False)
    stalled: Deferred[None] = Deferred()

    def on_write() -> None:
        run.responder.pauseProducing()
        stalled.callback(None)

    run.transport.on_write = on_write
    run.ask(1, "endless")
    await stalled
    size = run.transport.size
    run.responder.stop()
    assert await deferToThread(closed.wait, 20)
    assert run.transport.size == size


@ensure_deferred
async def test_a_thread_that_waits_for_data_ends_when_the_peer_leaves() -> None:
    reading, ended = threading.Event(), threading.Event()
    seen: list[object] = []

    def reads(context: Any) -> bytes:
        try:
            reading.set()
            return context.data.read()  # type: ignore[no-any-return]
        except CancelledError:
            seen.append(context.cancelled)
            raise
        finally:
            ended.set()

    run = in_threads("0006", make_command(reads, has_data=True, is_blocking=True))
    run.announce(1, "reads")
    assert await deferToThread(reading.wait, 20)
    run.responder.stop()
    assert await deferToThread(ended.wait, 20)
    assert seen == [True]
    assert run.transport.writes == []


@ensure_deferred
async def test_a_thread_sees_that_it_is_cancelled() -> None:
    started, left = threading.Event(), threading.Event()
    seen: list[bool] = []

    def works(context: Any) -> bytes:
        started.set()
        left.wait(20)
        seen.append(context.cancelled)
        return b"late"

    run = in_threads("0006", make_command(works, is_blocking=True), half_duplex=False)
    run.ask(1, "works")
    assert await deferToThread(started.wait, 20)
    run.responder.stop()
    left.set()
    while not seen:
        await deferToThread(int)
    assert seen == [True]
    assert run.transport.writes == []
