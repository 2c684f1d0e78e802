"""Which commands run, in which order, in memory and in every dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.kinds import (
    KINDS,
    after_a_fired_deferred,
    both_duplexes,
    every_dialect,
    plain,
)
from support.responding import (
    FINISHED,
    Responding,
    make_command,
)
from twisted.internet.defer import Deferred

from wiredaemon.protocol import RemoteProtocolError
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


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
