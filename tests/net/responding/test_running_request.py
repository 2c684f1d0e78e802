"""Requests that go on for a while: they stop with their peer, and keep to its pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.kinds import KIB, OBJECT, Objects, both_duplexes, every_dialect, plain, taken_failures
from support.responding import (
    FINISHED,
    Responding,
    make_command,
)
from twisted.internet.defer import CancelledError, Deferred, succeed

from wiredaemon.net.guard.output_room import PLENTY, RELAXED, SCARCE
from wiredaemon.net.guard.turns import LATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from twisted.logger import LogEvent


@every_dialect
@both_duplexes
def test_a_lost_connection_cancels_all_and_nothing_is_sent_afterwards(
    dialect: str, *, half_duplex: bool
) -> None:
    notes: list[str] = []
    contexts: list[Any] = []
    deferred: Deferred[bytes] = Deferred(lambda _: notes.append("deferred"))

    def returns_deferred(context: Any) -> Deferred[bytes]:
        contexts.append(context)
        return deferred

    async def coroutine(context: Any) -> bytes:
        contexts.append(context)
        try:
            await Deferred()
        except CancelledError:
            notes.append("coroutine")
            raise
        return b""

    async def awaits_objects(context: Any) -> AsyncIterator[bytes]:
        contexts.append(context)
        try:
            yield b"one"
            await Deferred()
        finally:
            notes.append("asynchronous generator")

    functions = (returns_deferred, coroutine, awaits_objects)
    for chosen in [*((function,) for function in functions), functions]:
        notes.clear()
        contexts.clear()
        deferred = Deferred(lambda _: notes.append("deferred"))
        run = Responding(dialect, *map(make_command, functions), half_duplex=half_duplex)
        for number, function in enumerate(chosen):
            run.ask(2 * number + 1, function.__name__)
        run.end()
        started = 1 if half_duplex else len(chosen)
        before = run.transport.size
        run.responder.stop()
        assert len(notes) == started
        assert [context.cancelled for context in contexts] == [True] * started
        run.responder.resumeProducing()
        run.ask(99, "coroutine")
        run.end()
        run.run_turns()
        assert run.transport.size == before
        assert run.transport.outcomes == []


@every_dialect
@pytest.mark.parametrize("is_async", [False, True], ids=["generator", "async"])
def test_a_lost_connection_closes_a_generator_that_waits_for_room(
    dialect: str, *, is_async: bool
) -> None:
    notes: list[str] = []

    def endless(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield OBJECT
        finally:
            notes.append("closed")

    async def endless_async(_: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield OBJECT
        finally:
            await succeed(None)
            notes.append("closed")

    function = endless_async if is_async else endless
    run = Responding(dialect, make_command(function))
    run.ask(1, function.__name__)
    assert notes == []
    run.end()
    assert run.clock.getDelayedCalls()
    run.responder.pauseProducing()
    run.run_turns()
    before = run.transport.size
    run.responder.stopProducing()
    assert notes == ["closed"]
    assert run.clock.getDelayedCalls() == []
    assert run.transport.size == before


def test_a_generator_stopped_between_two_turns_makes_nothing_in_the_second_one() -> None:
    def endless(_: Any) -> Iterator[bytes]:
        while True:
            yield OBJECT

    run = Responding("0006", make_command(endless), half_duplex=False)
    run.ask(1, "endless")
    assert len(run.clock.getDelayedCalls()) == 1
    run.responder.stop()
    size = run.transport.size
    run.turn()
    assert run.transport.size == size
    assert run.clock.getDelayedCalls() == []


@pytest.mark.parametrize("dialect", ["0003", "0006"])
def test_a_generator_begins_in_another_turn_where_this_one_has_taken_long(dialect: str) -> None:
    taken: list[int] = []

    def few(_: Any) -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield OBJECT

    time = 1.0
    run = Responding(dialect, make_command(few), half_duplex=False, now=lambda: time)
    run.turns.current.began = time - 2 * LATE
    run.ask(1, "few")
    assert taken == []
    # It has its turn, however late the next one is as well.
    run.turn()
    assert taken == [0, 1, 2]
    assert run.responder.running == {}


def test_objects_wait_sooner_when_all_connections_hold_much() -> None:
    def endless(_: Any) -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    run = Responding("0006", make_command(endless), half_duplex=False)
    run.responder.room.fit(PLENTY + 1)
    run.ask(1, "endless")
    run.responder.pauseProducing()
    # What fills a frame may be made beyond it.
    assert SCARCE <= run.transport.size <= 2 * SCARCE < run.limits.output_high / 2
    for _ in range(RELAXED):
        run.responder.room.look(0)
    run.responder.resumeProducing()
    run.turn()
    run.responder.pauseProducing()
    assert run.transport.size >= run.limits.output_high


def test_a_generator_that_fails_to_stop_is_logged(logged: list[LogEvent]) -> None:
    def stubborn(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield OBJECT
        finally:
            raise ValueError("secret")

    run = Responding("0006", make_command(stubborn), half_duplex=False)
    run.ask(1, "stubborn")
    run.responder.stop()
    (event,) = taken_failures(logged)
    assert event["command"] == "stubborn, when it was stopped,"
    assert event["log_failure"].type is ValueError


def test_a_command_that_ignores_its_cancellation_does_no_harm() -> None:
    second: Deferred[bytes] = Deferred()

    async def ignores(_: Any) -> AsyncIterator[bytes]:
        try:
            await Deferred()
        except CancelledError:
            yield await second

    run = Responding("0006", make_command(ignores), half_duplex=False)
    run.ask(1, "ignores")
    run.responder.stop()
    second.callback(b"late")
    assert run.transport.writes == []
    assert run.transport.outcomes == []


@pytest.mark.parametrize("dialect", ["0003", "0005"])
@pytest.mark.parametrize("name", ["objects", "awaited"])
def test_output_that_is_held_stops_a_generator_at_the_high_mark(dialect: str, name: str) -> None:
    source = Objects()
    run = Responding(dialect, make_command(getattr(source, name)))
    run.ask(1, name)
    run.run_turns()
    assert source.taken * len(OBJECT) <= run.limits.output_high + 2 * len(OBJECT)
    assert run.connection.output_size <= run.limits.output_high + 2 * len(OBJECT)
    taken = source.taken
    run.responder.pauseProducing()
    run.end()
    assert source.taken == taken
    run.responder.resumeProducing()
    assert source.taken > taken


@every_dialect
@both_duplexes
@pytest.mark.parametrize("name", ["objects", "awaited"])
def test_a_paused_peer_stops_a_generator_and_a_resumed_one_lets_it_go_on(
    dialect: str, name: str, *, half_duplex: bool
) -> None:
    source = Objects()
    run = Responding(dialect, make_command(getattr(source, name)), half_duplex=half_duplex)
    run.transport.on_write = run.responder.pauseProducing
    run.ask(1, name)
    run.end()
    for _ in range(50):
        run.run_turns()
        taken, sent = source.taken, run.transport.size
        run.run_turns()
        assert (source.taken, run.transport.size) == (taken, sent)
        assert run.connection.output_size <= run.limits.output_high + len(OBJECT)
        assert taken * len(OBJECT) - sent <= run.limits.output_high + 2 * len(OBJECT)
        run.responder.resumeProducing()
        assert run.transport.size > sent
    run.responder.stop()


@both_duplexes
def test_a_huge_result_is_never_held_as_a_whole(*, half_duplex: bool) -> None:
    source = Objects(total=2000)
    run = Responding("0006", make_command(source.objects), half_duplex=half_duplex)
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, source.taken * len(OBJECT) - run.transport.size)

    run.transport.on_write = look
    run.ask(1, "objects")
    run.end()
    run.run_turns()
    assert run.transport.outcomes == [FINISHED]
    assert source.taken == 2000
    assert most <= run.limits.output_high + len(OBJECT)
    largest = max(sum(len(payload) for _, payload in frames) for frames in run.transport.writes)
    assert largest <= run.limits.output_high + len(OBJECT)


def test_other_commands_get_their_turn_while_a_long_answer_is_sent() -> None:
    source = Objects()
    run = Responding("0006", make_command(source.objects), make_command(plain), half_duplex=False)
    run.ask(1, "objects")
    run.ask(3, "objects")
    run.ask(5, "plain")
    taken = source.taken
    assert taken < 20
    assert 5 in run.order
    run.turn()
    assert taken < source.taken < 40
    answered = {one.request_id for one in peers.parse_frames(run.transport.wire)}
    assert answered == {1, 3, 5}
    run.responder.stop()


def test_pausing_and_resuming_at_any_time_does_not_multiply_turns() -> None:
    source = Objects()
    run = Responding("0006", make_command(source.objects), half_duplex=False)
    run.ask(1, "objects")
    for _ in range(20):
        run.responder.pauseProducing()
        run.responder.resumeProducing()
    assert len(run.clock.getDelayedCalls()) == 1
    run.responder.stop()


def test_requests_wait_and_input_is_paused_while_the_peer_takes_nothing() -> None:
    ran: list[bytes] = []

    def large(_: Any) -> bytes:
        ran.append(b"")
        return bytes(1024 * KIB)

    run = Responding("0006", make_command(large), half_duplex=False)
    run.transport.on_write = run.responder.pauseProducing
    run.receive(b"".join(peers.request_frames("0006", 1, b"large")))
    run.receive(b"".join(peers.request_frames("0006", 3, b"large")))
    run.receive(b"".join(peers.request_frames("0006", 5, b"large")))
    assert len(ran) == 1
    assert run.transport.input == ["pause"]
    run.responder.resumeProducing()
    assert len(ran) == 2
    run.responder.resumeProducing()
    assert len(ran) == 3
    run.responder.resumeProducing()
    assert run.transport.input[-1] == "resume"
    run.end()
    assert run.transport.outcomes == [FINISHED]
