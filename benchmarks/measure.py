"""Measuring: candidates in turn, round by round, so that a slow minute of the machine hits all."""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import allow_connections, cpu_seconds, private_memory
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.figure import Metric, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.figure import Candidate, Figure
    from benchmarks.load import Load
    from benchmarks.processes import Server, Servers

    Turn = Callable[[], dict[Metric, float]]
    """Measures one candidate once."""

_WARM_UP_SECONDS: Final = 0.5
_MEMORY_ROUNDS: Final = 3
"""Rounds of memory; few, because it hardly differs, and each round starts a new server."""


def measure(figure: Figure, servers: Servers, *, rounds: int, seconds: float) -> Result:
    """Measure a figure.

    Args:
        figure: The figure to measure.
        servers: Starts and keeps the servers.
        rounds: The number of turns of each candidate.
        seconds: The duration of each turn, which has one exchange at least.

    Raises:
        BenchmarkError: A server did not start, or answered wrongly.
    """
    if figure.connections:
        allow_connections(figure.connections)
        rounds = min(rounds, _MEMORY_ROUNDS)
    result = Result(figure)
    with contextlib.ExitStack() as loads:
        turns = {}
        for candidate in figure.candidates:
            try:
                server = servers.shared(candidate.program)
            except UnavailableError as reason:
                result.unavailable[candidate.name] = str(reason)
                continue
            if figure.connections:
                turns[candidate.name] = _memory_turn(candidate, servers, figure.connections)
            else:
                turns[candidate.name] = _time_turn(candidate, server, seconds, loads)
        # Candidates take turns in each round, so that a slow minute of the machine hits all.
        for _ in range(rounds):
            for name, turn in turns.items():
                result.add(name, turn())
    return result


@contextlib.contextmanager
def _showing(candidate: Candidate, server: Server) -> Iterator[None]:
    """Add the name of the failed candidate, and its server's output, to an error."""
    try:
        yield
    except (BenchmarkError, OSError) as error:
        raise BenchmarkError(f"{candidate.name}: {error}; its log:\n{server.log}") from error


def _time_turn(
    candidate: Candidate, server: Server, seconds: float, loads: contextlib.ExitStack
) -> Turn:
    """Connect and warm up, and return the turn."""
    with _showing(candidate, server):
        load = candidate.connect(server.port)
        loads.callback(load.close)
        # Imports, caches and the interpreter's specialized code are not what is measured.
        _time(load, server, _WARM_UP_SECONDS)

    def turn() -> dict[Metric, float]:
        with _showing(candidate, server):
            return _time(load, server, seconds)

    return turn


def _time(load: Load, server: Server, seconds: float) -> dict[Metric, float]:
    clock = time.perf_counter_ns
    latencies = []
    count = 0
    cpu = cpu_seconds(server.pid)
    start = now = clock()
    end = start + seconds * 1e9
    # At least one exchange, also if it takes longer than a turn.
    while now < end:
        before = now
        count += load.exchange()
        now = clock()
        latencies.append(now - before)
    cpu = cpu_seconds(server.pid) - cpu
    return {
        Metric.CAPACITY: count / cpu,
        Metric.RATE: count / (now - start) * 1e9,
        Metric.P50: statistics.median(latencies) * 1e-9,
    }


def _memory_turn(candidate: Candidate, servers: Servers, connections: int) -> Turn:
    """Start a server for this turn alone, because Python keeps memory that was used once."""

    def turn() -> dict[Metric, float]:
        server = servers.start(candidate.program)
        with contextlib.ExitStack() as opened, _showing(candidate, server):
            opened.callback(server.stop)

            def open_one() -> None:
                load = candidate.connect(server.port)
                opened.callback(load.close)
                load.exchange()

            # The first connection makes whatever all connections share.
            open_one()
            before = private_memory(server.pid)
            for _ in range(connections):
                open_one()
            return {Metric.MEMORY: (private_memory(server.pid) - before) / connections}

    return turn
