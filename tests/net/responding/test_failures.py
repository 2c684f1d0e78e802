"""What a failing command becomes, in the log and on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.kinds import both_duplexes, crashes, every_dialect, plain, taken_failures
from support.responding import (
    CRASHED,
    FINISHED,
    UNSENDABLE,
    Responding,
    make_command,
)
from twisted.internet.defer import succeed

from wiredaemon.commands import CommandError, ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from twisted.logger import LogEvent


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


@every_dialect
def test_the_limit_that_a_failed_command_names_is_passed_on_without_its_arguments(
    dialect: str,
) -> None:
    def full(_: Any) -> bytes:
        raise ServerError("no place (worker_queue)")

    def named(_: Any) -> bytes:
        raise CommandError(b"no file %s", [b"(request_size)"])

    run = Responding(dialect, make_command(full), make_command(named))
    run.ask(1, "full")
    run.ask(3, "named")
    run.end()
    assert run.transport.failed == ["no place (worker_queue)", "no file %s"]
