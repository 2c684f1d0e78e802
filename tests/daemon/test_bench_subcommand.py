"""`wiredaemon bench` against servers on loopback."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening
from support.tools import Told, told

from wiredaemon.commands import Argument, ArgumentType, CommandError, capabilities
from wiredaemon.commands.registry import marked_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

together: Final = {"now": 0, "most": 0}
calls: Final[list[int]] = []


def numbers(context: Any, count: int) -> Iterator[int]:  # noqa: ARG001 not needed
    together["now"] += 1
    together["most"] = max(together.values())
    yield from range(count)
    together["now"] -= 1


def odd(context: Any) -> int:  # noqa: ARG001 not needed
    calls.append(1)
    if len(calls) % 2:
        raise CommandError("not this time")
    return 1


def refuse(context: Any) -> bytes:  # noqa: ARG001 not needed
    calls.append(1)
    raise CommandError("never")


COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(numbers, arguments={"count": Argument(type=ArgumentType.INT)}),
    make_command(odd),
    make_command(refuse),
]


async def benched(*words: str, kind: str = "hgrpc", **more: Any) -> Told:
    calls.clear()
    async with listening(factory_of(kind, COMMANDS, framings=["0006"])) as port:
        return await told("bench", f"{kind}://localhost:{port}/", *words, **more)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_as_many_calls_are_made_and_answered_as_were_asked_for(kind: str) -> None:
    words = ["numbers", "count=3", "-n", "50", "-c", "5", "--output", "json"]
    outcome = await benched(*words, kind=kind)
    assert (outcome.status, outcome.errors, outcome.line) == (0, "", "")
    said = json.loads(outcome.output)
    assert (said["calls"], said["failed"], said["objects"], said["in_flight"]) == (50, 0, 150, 5)
    assert said["calls_per_second"] == pytest.approx(50 / said["seconds"], rel=0.01)
    latency = said["latency_ms"]
    names = ["min", "p50", "p90", "p99", "p99.9", "max"]
    assert [latency[name] for name in names] == sorted(latency[name] for name in names)
    assert sum(row["calls"] for row in said["histogram"]) == 50
    assert said["failures"] == {}


@ensure_deferred
async def test_people_see_rates_latencies_and_a_histogram() -> None:
    outcome = await benched("numbers", "count=1", "-n", "20", "-c", "1")
    first, blank, heading, *rows = outcome.output.decode().splitlines()
    assert re.fullmatch(r"20 calls in \d+\.\d\d s, 1 at once: [\d,.]+ calls/s", first)
    assert (blank, heading) == ("", "Latency")
    assert [row.split()[0] for row in rows[:7]] == [
        *("min", "mean", "p50", "p90", "p99", "p99.9", "max"),
    ]
    assert all(re.fullmatch(r"  \S+ +\d+\.\d{3} ms", row) for row in rows[:7])
    assert all(re.fullmatch(r"  up to +[\d.]+ ms +\d+(  #+)?", row) for row in rows[8:])


@ensure_deferred
async def test_a_time_ends_it() -> None:
    outcome = await benched("numbers", "count=1", "--seconds", "0.2", "--output", "json")
    said = json.loads(outcome.output)
    assert said["calls"] > 0
    assert said["seconds"] >= 0.2


@ensure_deferred
async def test_without_a_bound_there_are_a_thousand_calls() -> None:
    outcome = await benched("numbers", "count=1", "--output", "json")
    assert json.loads(outcome.output)["calls"] == 1000


@ensure_deferred
async def test_failures_are_counted_and_make_the_status() -> None:
    outcome = await benched("odd", "-n", "10", "--output", "json")
    said = json.loads(outcome.output)
    assert (outcome.status, said["calls"], said["failed"]) == (1, 5, 5)
    assert said["failures"] == {"not this time": 5}
    outcome = await benched("odd", "-n", "10")
    assert outcome.output.decode().endswith("\n5 failed:\n         5  not this time\n")


@ensure_deferred
async def test_a_command_that_only_fails_is_given_up_early() -> None:
    outcome = await benched("refuse", "-n", "1000", "-c", "4")
    assert outcome == (1, b"", "", "never")
    assert 100 <= len(calls) < 110


@ensure_deferred
async def test_wrong_arguments_are_told_before_any_call() -> None:
    outcome = await benched("numbers", "count=x")
    assert outcome == (2, b"", "", "argument count must be a whole number, not x")


class _Screen(StringIO):
    def isatty(self) -> bool:
        return True


@ensure_deferred
async def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    outcome = await benched("numbers", "count=1", "-n", "40", "-c", "1", errors=_Screen())
    assert re.match(r"calls \[[=> ]{30}\] 1/40\r", outcome.errors)
    assert outcome.errors.endswith("\r\x1b[K")
