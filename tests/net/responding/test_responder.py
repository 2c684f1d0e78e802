"""The Responder in memory: every kind of command, order, back-pressure, data and failures."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.responding import (
    CRASHED,
    FINISHED,
    UNSENDABLE,
    Responding,
    ensure_deferred,
    failures,
    make_command,
)
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, capturedLogs

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol import RemoteProtocolError
from wiredaemon.protocol.responses import EncodingWork
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from wiredaemon.protocol import ServerConnection

DIALECTS: Final = ("0003", "0005", "0006")
KIB: Final = 1024
OBJECT: Final = bytes(32 * KIB)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
both_duplexes = pytest.mark.parametrize("half_duplex", [True, False], ids=["half", "full"])


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """What was logged; a test that expects errors takes them out of the list."""
    with capturedLogs() as events:
        recorded: list[LogEvent] = events  # type: ignore[assignment]
        yield recorded
        gc.collect()
    assert failures(recorded) == []


def taken_failures(events: list[LogEvent]) -> list[LogEvent]:
    """Give the errors logged so far and forget them."""
    found = failures(events)
    events.clear()
    return found


# --- every kind of command ------------------------------------------------------------------------


def plain(_: Any) -> bytes:
    return b"plain"


async def at_once(_: Any) -> bytes:
    return b"at once"


async def after_a_fired_deferred(_: Any) -> bytes:
    return await succeed(b"fired")


def fired_deferred(_: Any) -> Deferred[bytes]:
    return succeed(b"deferred")


def generated(_: Any) -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def generated_nothing(_: Any) -> Iterator[bytes]:
    yield from ()


async def generated_asynchronously(_: Any) -> AsyncIterator[bytes]:
    yield b"one"
    yield await succeed(b"two")


KINDS: Final[dict[Callable[..., Any], tuple[bytes, ...]]] = {
    plain: (b"plain",),
    at_once: (b"at once",),
    after_a_fired_deferred: (b"fired",),
    fired_deferred: (b"deferred",),
    generated: (b"one", b"two"),
    generated_nothing: (),
    generated_asynchronously: (b"one", b"two"),
}


@every_dialect
@both_duplexes
@pytest.mark.parametrize("function", KINDS, ids=lambda function: function.__name__)
def test_each_kind_of_command_that_does_not_wait_is_answered_without_the_reactor(
    dialect: str, function: Callable[..., Any], *, half_duplex: bool
) -> None:
    run = Responding(dialect, make_command(function), half_duplex=half_duplex)
    run.ask(1, function.__name__)
    assert bool(run.transport.writes) is not half_duplex
    run.end()
    assert run.transport.outcomes == [FINISHED]
    assert run.clock.getDelayedCalls() == []
    assert run.answers[1].content == run.result(*KINDS[function])
    assert run.answers[1].error is None


@every_dialect
@both_duplexes
def test_commands_that_wait_are_answered_when_what_they_wait_for_comes(
    dialect: str, *, half_duplex: bool
) -> None:
    waits: list[Deferred[bytes]] = [Deferred(), Deferred(), Deferred(), Deferred()]

    def deferred(_: Any) -> Deferred[bytes]:
        return waits[0]

    async def coroutine(_: Any) -> bytes:
        return await waits[1]

    async def generator(_: Any) -> AsyncIterator[bytes]:
        yield await waits[2]
        yield b"between"
        yield await waits[3]

    functions = (deferred, coroutine, generator)
    run = Responding(dialect, *map(make_command, functions), half_duplex=half_duplex)
    for number, function in enumerate(functions, start=1):
        run.ask(number, function.__name__)
    run.end()
    for number, wait in enumerate(waits):
        assert run.transport.outcomes == []
        wait.callback(b"%d" % number)
    assert run.transport.outcomes == [FINISHED]
    contents = {number: answer.content for number, answer in run.answers.items()}
    assert contents == {
        1: run.result(b"0"),
        2: run.result(b"1"),
        3: run.result(b"2", b"between", b"3"),
    }


@every_dialect
def test_in_half_duplex_responses_come_in_the_order_the_requests_became_complete(
    dialect: str,
) -> None:
    first: Deferred[bytes] = Deferred()

    def waiting(_: Any) -> Deferred[bytes]:
        return first

    run = Responding(dialect, make_command(waiting), make_command(plain))
    slow = peers.request_frames(dialect, 5, b"plain", data=b"undeclared")
    run.receive(slow[0])
    run.ask(3, "waiting")
    run.receive(*slow[1:])
    run.ask(1, "plain")
    run.end()
    first.callback(b"now")
    assert run.order == [3, 5, 1]
    assert run.transport.outcomes == [FINISHED]


@every_dialect
def test_in_full_duplex_responses_come_as_commands_finish(dialect: str) -> None:
    waits: list[Deferred[bytes]] = []

    def waiting(_: Any) -> Deferred[bytes]:
        waits.append(Deferred())
        return waits[-1]

    run = Responding(dialect, make_command(waiting), make_command(plain), half_duplex=False)
    run.ask(1, "waiting")
    run.ask(3, "waiting")
    run.ask(5, "plain")
    waits[1].callback(b"second")
    waits[0].callback(b"first")
    assert run.order == [5, 3, 1]


def test_in_full_duplex_no_more_than_running_commands_run_side_by_side() -> None:
    waits: list[Deferred[bytes]] = []

    def waiting(_: Any) -> Deferred[bytes]:
        waits.append(Deferred())
        return waits[-1]

    limits = Limits(running_commands=3)
    run = Responding("0006", make_command(waiting), half_duplex=False, limits=limits)
    for number in range(5):
        run.ask(2 * number + 1, "waiting")
    assert len(waits) == 3
    waits[1].callback(b"done")
    assert len(waits) == 4
    for wait in waits[:1] + waits[2:]:
        wait.callback(b"done")
    assert len(waits) == 5
    waits[4].callback(b"done")
    run.end()
    assert run.order == [3, 1, 5, 7, 9]
    assert run.transport.outcomes == [FINISHED]


def test_in_half_duplex_0006_nothing_runs_before_the_end_of_input() -> None:
    seen: list[str] = []

    def noted(_: Any) -> bytes:
        seen.append("ran")
        return b""

    async def reads(context: Any) -> bytes:
        seen.append("reads")
        return await context.data.read()  # type: ignore[no-any-return]

    run = Responding("0006", make_command(reads, has_data=True), make_command(noted))
    run.announce(1, "reads")
    assert seen == ["reads"]
    run.data(1, b"data", is_last=True)
    run.ask(3, "noted")
    assert seen == ["reads"]
    run.end()
    assert seen == ["reads", "ran"]
    assert run.answers[1].content == run.result(b"data")


@pytest.mark.parametrize("dialect", ["0003", "0005"])
def test_earlier_dialects_run_at_once_and_a_later_error_discards_the_response(
    dialect: str,
) -> None:
    seen: list[str] = []

    def noted(_: Any) -> bytes:
        seen.append("ran")
        return b""

    run = Responding(dialect, make_command(noted))
    run.ask(1, "noted")
    assert seen == ["ran"]
    run.receive(peers.frame(7, 0, request_id=3))
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    run.end()
    assert run.transport.writes == []
    assert len(run.transport.outcomes) == 1


def test_a_hundred_commands_that_wait_for_nothing_do_not_pile_up_on_the_stack() -> None:
    gate: Deferred[bytes] = Deferred()

    def gated(_: Any) -> Deferred[bytes]:
        return gate

    limits = Limits(concurrent_requests=1000, undeclared_data=10)
    run = Responding(
        "0003", make_command(after_a_fired_deferred), make_command(gated), limits=limits
    )
    run.ask(1, "gated")
    for number in range(1, 900):
        run.ask(2 * number + 1, "after_a_fired_deferred")
    run.end()
    gate.callback(b"open")
    assert len(run.answers) == 900
    assert run.transport.outcomes == [FINISHED]


def test_a_refused_exchange_ends_with_the_answer_of_the_admission() -> None:
    waiting: Deferred[bytes] = Deferred()

    def waits(_: Any) -> Deferred[bytes]:
        return waiting

    run = Responding("0003", make_command(waits))
    run.ask(1, "waits")
    run.ask(3, "refused")
    run.ask(5, "waits")
    run.end()
    assert run.transport.outcomes == [("refused", "the answer")]
    assert run.transport.writes == []
    assert waiting.called


def test_no_request_at_all_finishes_without_frames() -> None:
    run = Responding("0006")
    run.end()
    run.end()
    assert run.transport.outcomes == [FINISHED]
    assert run.transport.writes == []


# --- failures -------------------------------------------------------------------------------------


def crashes(_: Any) -> bytes:
    raise ValueError("secret")


async def crashes_in_a_coroutine(_: Any) -> bytes:
    raise ValueError("secret")


async def crashes_after_waiting(context: Any) -> bytes:
    await context.data.read()
    await succeed(None)
    raise ValueError("secret")


def crashes_behind_objects(_: Any) -> Iterator[bytes]:
    yield b"whole"
    raise ValueError("secret")


async def crashes_behind_awaited_objects(_: Any) -> AsyncIterator[bytes]:
    yield b"whole"
    raise ValueError("secret")


@every_dialect
@both_duplexes
@pytest.mark.parametrize(
    "function",
    [
        crashes,
        crashes_in_a_coroutine,
        crashes_after_waiting,
        crashes_behind_objects,
        crashes_behind_awaited_objects,
    ],
    ids=lambda function: function.__name__,
)
def test_a_crash_is_logged_once_and_harmless_on_the_wire(
    dialect: str, function: Callable[..., Any], logged: list[LogEvent], *, half_duplex: bool
) -> None:
    run = Responding(dialect, make_command(function), make_command(plain), half_duplex=half_duplex)
    run.ask(1, function.__name__)
    run.ask(3, "plain")
    run.end()
    (event,) = taken_failures(logged)
    assert event["command"] == function.__name__
    assert event["peer"] == "10.0.0.1:99"
    assert event["log_failure"].type is ValueError
    assert function.__name__ in event["log_failure"].getTraceback()
    assert CRASHED in run.transport.wire
    assert b"secret" not in run.transport.wire
    assert run.answers[3].content == run.result(b"plain")
    assert run.transport.outcomes == [FINISHED]


@every_dialect
@pytest.mark.parametrize(
    ("error", "shown"),
    [(CommandError(b"no %s", [b"way"]), b"way"), (ServerError(b"not now"), b"not now")],
)
def test_a_documented_failure_reaches_the_peer_and_not_the_log(
    dialect: str, error: Exception, shown: bytes
) -> None:
    async def fails(_: Any) -> bytes:
        raise error

    run = Responding(dialect, make_command(fails))
    run.ask(1, "fails")
    run.ask(3, "unknown")
    run.end()
    assert shown in run.transport.wire
    assert b"no such command" in run.transport.wire
    assert set(run.answers) == {1, 3}


@every_dialect
@both_duplexes
def test_a_result_that_cannot_be_sent_is_an_error_of_its_request_alone(
    dialect: str, logged: list[LogEvent], *, half_duplex: bool
) -> None:
    def unsendable(_: Any) -> Any:
        return object()

    closed: list[str] = []

    def among_objects(_: Any) -> Iterator[Any]:
        try:
            yield b"fine"
            yield object()
        finally:
            closed.append("closed")

    async def among_awaited(_: Any) -> AsyncIterator[Any]:
        try:
            yield b"fine"
            yield object()
        finally:
            closed.append("closed")

    functions = (unsendable, among_objects, among_awaited)
    run = Responding(
        dialect, *map(make_command, functions), make_command(plain), half_duplex=half_duplex
    )
    for number, function in enumerate(functions):
        run.ask(2 * number + 1, function.__name__)
    run.ask(7, "plain")
    run.end()
    assert len(taken_failures(logged)) == 3
    assert run.transport.wire.count(UNSENDABLE) == 3
    assert closed == ["closed", "closed"]
    assert run.answers[7].content == run.result(b"plain")
    assert run.transport.outcomes == [FINISHED]


# --- the peer goes away ---------------------------------------------------------------------------


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


def test_a_generator_between_two_turns_leaves_no_call_behind() -> None:
    def endless(_: Any) -> Iterator[bytes]:
        while True:
            yield OBJECT

    run = Responding("0006", make_command(endless), half_duplex=False)
    run.ask(1, "endless")
    assert len(run.clock.getDelayedCalls()) == 1
    run.responder.stop()
    assert run.clock.getDelayedCalls() == []


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
    assert event["command"] == "stubborn"
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


# --- output ---------------------------------------------------------------------------------------


class Objects:
    """A generator of objects that counts how many were taken."""

    def __init__(self, total: int | None = None) -> None:
        self.taken = 0
        self.total = total

    def objects(self, _: Any) -> Iterator[bytes]:
        while self.total is None or self.taken < self.total:
            self.taken += 1
            yield OBJECT

    async def awaited(self, context: Any) -> AsyncIterator[bytes]:
        for value in self.objects(context):
            yield value


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


# --- command data ---------------------------------------------------------------------------------


class Reader:
    """A command that takes a piece of its data each time the test lets it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.gate: Deferred[None] = Deferred()
        self.command = make_command(self.reader, has_data=True)

    async def reader(self, context: Any) -> bytes:
        await self._open()
        async for piece in context.data:
            self.pieces.append(piece)
            await self._open()
        return b"%d" % sum(map(len, self.pieces))

    async def _open(self) -> None:
        gate = self.gate
        await gate

    def take(self) -> None:
        gate, self.gate = self.gate, Deferred()
        gate.callback(None)

    def open(self) -> None:
        gate, self.gate = self.gate, succeed(None)
        gate.callback(None)


@every_dialect
@both_duplexes
def test_data_reaches_its_command_as_it_arrives(dialect: str, *, half_duplex: bool) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command, half_duplex=half_duplex)
    run.announce(1, "reader")
    reader.open()
    run.data(1, b"one")
    assert reader.pieces == [b"one"]
    run.data(1, b"two")
    assert reader.pieces == [b"one", b"two"]
    run.data(1, b"", is_last=True)
    run.end()
    assert run.answers[1].content == run.result(b"6")


@every_dialect
@both_duplexes
def test_data_that_a_command_does_not_take_pauses_the_peer(
    dialect: str, *, half_duplex: bool
) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command, half_duplex=half_duplex)
    run.announce(1, "reader")
    for _ in range(8):
        run.data(1, OBJECT)
    assert run.transport.input == []
    run.data(1, OBJECT)
    assert run.transport.input == ["pause"]
    run.data(1, OBJECT)  # what was on its way: TLS gives some records more
    assert set(run.transport.input) == {"pause"}
    reader.take()
    assert "resume" not in run.transport.input
    reader.open()
    assert run.transport.input.count("resume") == 1
    assert run.transport.input[-1] == "resume"
    run.data(1, b"", is_last=True)
    run.end()
    assert run.answers[1].content == run.result(b"%d" % (10 * len(OBJECT)))


def test_a_command_that_ends_without_its_data_lets_the_peer_go_on() -> None:
    gate: Deferred[bytes] = Deferred()

    async def impatient(_: Any) -> bytes:
        return await gate

    run = Responding("0006", make_command(impatient, has_data=True))
    run.announce(1, "impatient")
    for _ in range(10):
        run.data(1, OBJECT)
    gate.callback(b"enough")
    assert run.transport.input[-1] == "resume"
    run.data(1, OBJECT)
    run.data(1, b"", is_last=True)
    assert run.transport.input[-1] == "resume"
    run.end()
    assert run.answers[1].content == run.result(b"enough")


@every_dialect
@both_duplexes
def test_undeclared_data_is_counted_bounded_and_dropped(dialect: str, *, half_duplex: bool) -> None:
    limits = Limits(undeclared_data=100)
    for size in (100, 101):
        run = Responding(dialect, make_command(plain), half_duplex=half_duplex, limits=limits)
        run.announce(1, "plain")
        run.data(1, bytes(60))
        run.data(1, bytes(size - 60), is_last=True)
        run.end()
        if size == 100:
            assert run.answers[1].content == run.result(b"plain")
            assert run.transport.outcomes == [FINISHED]
        else:
            (error,) = run.transport.outcomes
            assert isinstance(error, RemoteProtocolError)
            assert error.malformed
            assert error.message == (
                "data of request 1, whose command takes none, exceeds the limit of 100 bytes "
                "(undeclared_data)"
            )
            assert bool(run.transport.writes) is not half_duplex


@every_dialect
@pytest.mark.parametrize("own_limit", [None, 10])
def test_more_data_than_allowed_is_an_error_of_the_command(
    dialect: str, own_limit: int | None
) -> None:
    async def reads(context: Any) -> bytes:
        return await context.data.read()  # type: ignore[no-any-return]

    limits = Limits(command_data=20)
    commands = make_command(reads, has_data=True, data_limit=own_limit), make_command(plain)
    run = Responding(dialect, *commands, limits=limits)
    most = own_limit or 20
    run.ask(1, "reads", data=bytes(most))
    run.ask(3, "reads", data=bytes(most + 1))
    run.ask(5, "plain")
    run.end()
    assert run.answers[1].content == run.result(bytes(most))
    text = b"command data exceeds the limit of %d bytes (command_data)" % most
    assert run.transport.wire.count(text) == 1
    assert run.answers[5].content == run.result(b"plain")
    assert run.transport.outcomes == [FINISHED]


@every_dialect
def test_input_that_ends_inside_the_only_request_fails_the_exchange(dialect: str) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command)
    run.announce(1, "reader")
    run.data(1, b"some")
    run.end()
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    assert error.malformed
    assert error.message == "input ended before the command data of request 1"
    assert run.transport.writes == []


@every_dialect
def test_input_that_ends_inside_a_later_request_is_that_requests_error(dialect: str) -> None:
    reader = Reader()
    reader.open()
    run = Responding(dialect, reader.command, make_command(plain))
    run.ask(1, "plain")
    run.announce(3, "reader")
    run.announce(5, "plain")
    run.data(3, b"some")
    run.end()
    assert run.transport.outcomes == [FINISHED]
    assert run.answers[1].content == run.result(b"plain")
    assert b"input ended before the command data of request 3" in run.transport.wire
    assert b"input ended before the command data of request 5" in run.transport.wire


@every_dialect
def test_data_of_a_queued_command_waits_for_it(dialect: str) -> None:
    gate: Deferred[bytes] = Deferred()

    async def gated(context: Any) -> bytes:
        await context.data.read()
        return await gate

    reader = Reader()
    reader.open()
    run = Responding(dialect, make_command(gated, has_data=True), reader.command)
    run.ask(1, "gated", data=b"")
    run.ask(3, "reader", data=b"data")
    assert reader.pieces == []
    run.end()
    gate.callback(b"opened")
    assert run.order == [1, 3]
    assert run.answers[3].content == run.result(b"4")


@every_dialect
def test_too_much_data_of_a_queued_command_fails_the_exchange(dialect: str) -> None:
    async def gated(context: Any) -> bytes:
        return await context.data.read()  # type: ignore[no-any-return]

    reader = Reader()
    run = Responding(dialect, make_command(gated, has_data=True), reader.command)
    run.announce(1, "gated")
    run.announce(3, "reader")
    for _ in range(8):
        run.data(3, OBJECT)
    assert run.transport.outcomes == []
    run.data(3, b"+")
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    assert error.malformed
    assert error.message == (
        "data of request 3 has to wait for an earlier command and exceeds the limit of "
        "262144 bytes (buffered_data)"
    )
    assert run.transport.writes == []


@every_dialect
@both_duplexes
def test_an_echo_longer_than_the_high_mark_leaves_before_input_has_ended(
    dialect: str, *, half_duplex: bool
) -> None:
    async def echo(context: Any) -> AsyncIterator[bytes]:
        async for piece in context.data:
            yield piece

    run = Responding(dialect, make_command(echo, has_data=True), half_duplex=half_duplex)
    run.announce(1, "echo")
    for _ in range(100):
        run.data(1, OBJECT)
        run.run_turns()
        assert run.connection.output_size <= run.limits.output_high + len(OBJECT)
    assert run.transport.size > 90 * len(OBJECT)
    assert "pause" not in run.transport.input
    run.data(1, b"", is_last=True)
    run.end()
    run.run_turns()
    assert run.answers[1].content == run.result(*[OBJECT] * 100)
    assert run.transport.outcomes == [FINISHED]


@every_dialect
def test_a_released_answer_ends_with_an_error_frame_when_input_breaks(dialect: str) -> None:
    async def echo(context: Any) -> AsyncIterator[bytes]:
        async for piece in context.data:
            yield piece

    run = Responding(dialect, make_command(echo, has_data=True))
    run.announce(1, "echo")
    for _ in range(20):
        run.data(1, OBJECT)
        run.run_turns()
    run.receive(peers.frame(7, 0, request_id=1))
    assert isinstance(run.transport.outcomes[0], RemoteProtocolError)
    last = peers.parse_frames(run.transport.wire)[-1]
    assert last.type_number == peers.NUMBERS[dialect]["error"]


# --- threads --------------------------------------------------------------------------------------


class Ended:
    """The end of an exchange as a Deferred."""

    def __init__(self, run: Responding) -> None:
        self.deferred: Deferred[None] = Deferred()
        finished = run.transport.responses_finished

        def ended(connection: ServerConnection) -> None:
            finished(connection)
            self.deferred.callback(None)

        run.transport.responses_finished = ended  # type: ignore[method-assign]


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


# --- how input is cut ---------------------------------------------------------------------------


async def never_done(_: Any) -> None:
    await Deferred()


@pytest.mark.parametrize("dialect", ["0003", "0005"])
@pytest.mark.parametrize("function", [plain, at_once, never_done, generated])
def test_a_command_in_front_of_broken_input_runs_in_whatever_read_it_came(
    dialect: str, function: Callable[..., Any]
) -> None:
    ran: list[int] = []

    def counted(context: Any) -> Any:
        ran.append(1)
        return function(context)

    request = b"".join(peers.request_frames(dialect, 1, b"counted"))
    broken = peers.frame(1, 0, b"", request_id=3)
    for reads in ([request + broken], [request, broken]):
        run = Responding(dialect, make_command(counted))
        run.receive(*reads)
        run.end()
        assert run.transport.wire == b""
        assert run.transport.outcomes == [
            RemoteProtocolError(
                "received command request frame with neither new nor continuation flags set"
            )
        ]
    assert ran == [1, 1]


@pytest.mark.parametrize("dialect", ["0003", "0005"])
def test_a_crash_in_front_of_broken_input_is_logged_all_the_same(
    dialect: str, logged: list[LogEvent]
) -> None:
    request = b"".join(peers.request_frames(dialect, 1, b"crashes"))
    run = Responding(dialect, make_command(crashes))
    run.receive(request + peers.frame(1, 0, b"", request_id=3))
    assert len(taken_failures(logged)) == 1
    assert len(run.transport.outcomes) == 1


@every_dialect
def test_a_request_that_is_not_admitted_in_front_of_broken_input_breaks_nothing(
    dialect: str,
) -> None:
    request = b"".join(peers.request_frames(dialect, 1, b"unknown"))
    run = Responding(dialect, half_duplex=False)
    run.receive(request + peers.frame(1, 0, b"", request_id=3))
    assert [type(outcome) for outcome in run.transport.outcomes] == [RemoteProtocolError]


# --- content encoding aside -----------------------------------------------------------------------

LARGE: Final = bytes(range(256)) * 4096
"""1 MiB, and of it few bytes once encoded."""


def encoding(*commands: Any) -> Responding:
    """Respond on real threads to a client that knows zlib."""
    run = Responding(
        "0006",
        *commands,
        half_duplex=False,
        reactor=reactor,
        limits=Limits(encoding_streams=8),
    )
    run.receive(*peers.settings_frames(b"zlib"))
    return run


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which objects were encoded."""
    seen: list[threading.Thread] = []
    run = EncodingWork.run

    def watched(work: EncodingWork) -> None:
        seen.append(threading.current_thread())
        run(work)

    monkeypatch.setattr(EncodingWork, "run", watched)
    return seen


@ensure_deferred
async def test_large_objects_are_encoded_in_threads_and_others_are_answered_meanwhile(
    threads: list[threading.Thread],
) -> None:
    def large(_: Any) -> bytes:
        return LARGE

    def several(_: Any) -> Iterator[bytes]:
        yield b"first"
        yield LARGE
        yield b"last"

    def blocks(_: Any) -> Iterator[bytes]:
        yield LARGE
        yield LARGE

    run = encoding(
        make_command(large),
        make_command(several),
        make_command(blocks, is_blocking=True),
        make_command(small_result),
    )
    ended = Ended(run)
    for request_id, name in ((1, "large"), (3, "several"), (5, "blocks"), (7, "small_result")):
        run.ask(request_id, name)
    assert run.order[-1] == 7
    assert peers.read_answers("0006", _of(run, 7))[7].content == run.result(b"small")
    run.end()
    await ended.deferred
    assert run.answers[1].content == run.result(LARGE)
    assert run.answers[3].content == run.result(b"first", LARGE, b"last")
    assert run.answers[5].content == run.result(LARGE, LARGE)
    assert len(threads) == 4
    assert threading.main_thread() not in threads


def small_result(_: Any) -> bytes:
    return b"small"


def _of(run: Responding, request_id: int) -> list[peers.WireFrame]:
    frames = peers.parse_frames(run.transport.wire)
    return [one for one in frames if one.request_id == request_id]


@ensure_deferred
async def test_a_connection_lost_while_a_large_object_is_encoded_sends_nothing_more() -> None:
    closed: Deferred[None] = Deferred()

    def several(_: Any) -> Iterator[bytes]:
        try:
            yield LARGE
            yield LARGE
        finally:
            closed.callback(None)

    run = encoding(make_command(several))
    run.ask(1, "several")
    sent = run.transport.size
    run.responder.stop()
    await closed
    await deferToThread(lambda: None)  # behind the encoding's own thread
    assert run.transport.size == sent
