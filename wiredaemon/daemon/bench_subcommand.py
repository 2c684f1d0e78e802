"""``wiredaemon bench``: how many calls of a command a server answers, and how soon."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from wiredaemon.client import ClientError
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.daemon.call_subcommand import converted, encodings, given_arguments, permission
from wiredaemon.daemon.client_run import connected, describe_error, status_of
from wiredaemon.daemon.client_status import Status
from wiredaemon.daemon.latencies import Latencies
from wiredaemon.wire.json_values import json_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from wiredaemon.client import Connection
    from wiredaemon.commands import Value
    from wiredaemon.daemon.client_run import Console

CALLS: Final = 1000
"""The calls of a run that is bounded by neither a number nor a time."""
# A server that refuses one call refuses all of them; those of a full queue come one by one.
_MOST_FAILURES: Final = 100
"""A run ends after so many failures."""
_PERCENTS: Final = (50, 90, 99, 99.9)
_WIDEST_BAR: Final = 40


async def bench(options: argparse.Namespace, console: Console) -> Status:
    """Call a command many times, several calls at once, and print how long they took."""
    given = given_arguments(options)
    async with connected(options, encodings(options), options.in_flight) as connection:
        arguments = await converted(connection, options.command, given)
        run = Run(options, connection, arguments, console)
        await run.all_calls()
    # What nothing was answered to is a failure like that of a single call.
    if run.first_failure is not None and not run.latencies.count:
        raise run.first_failure
    if options.output == "json":
        console.write(json_line(run.record()))
    else:
        for line in run.lines():
            console.write_line(line)
    return Status.DONE if run.first_failure is None else status_of(run.first_failure)


class Run:
    """One run: the calls that are left, and what came of the others."""

    def __init__(
        self,
        options: argparse.Namespace,
        connection: Connection,
        arguments: Mapping[bytes, Value],
        console: Console,
    ) -> None:
        """Begin without a call.

        Args:
            options: Those of the command line.
            connection: The server.
            arguments: Those of each call.
            console: Shows the progress.
        """
        self._options = options
        self._connection = connection
        self._arguments = arguments
        self._console = console
        self._most: int | None = options.calls
        if self._most is None and options.seconds is None:
            self._most = CALLS
        self._ends: float | None = None
        self._started = 0
        self._objects = 0
        self.seconds = 0.0
        """How long it took."""
        self.latencies = Latencies()
        """Those of the calls that were answered."""
        self._failures: Counter[str] = Counter()
        self.first_failure: Exception | None = None

    async def all_calls(self) -> None:
        """Make the calls."""
        begin = time.perf_counter()
        if self._options.seconds is not None:
            self._ends = begin + self._options.seconds
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.in_flight):
                    group.create_task(self._calls())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.seconds = time.perf_counter() - begin

    async def _calls(self) -> None:
        """Make one call after the other while there are some left."""
        while self._has_more():
            self._started += 1
            begin = time.perf_counter()
            try:
                await self._call()
            except (ClientError, CommandError, ServerError) as error:
                self.first_failure = self.first_failure or error
                self._failures[describe_error(error)] += 1
            else:
                self.latencies.add(time.perf_counter() - begin)
            if self._console.terminal.is_terminal:
                done = self.latencies.count + self._failures.total()
                self._console.terminal.show("calls", done, self._most)

    def _has_more(self) -> bool:
        return (
            (self._most is None or self._started < self._most)
            and (self._ends is None or time.perf_counter() < self._ends)
            and self._failures.total() < _MOST_FAILURES
        )

    async def _call(self) -> None:
        calling = self._connection.call(
            os.fsencode(self._options.command),
            self._arguments,
            permission=permission(self._options),
            timeout=self._options.deadline,
        )
        async with calling:
            async for _ in calling:
                self._objects += 1

    # --- what came of it ---------------------------------------------------------------------

    def record(self) -> Mapping[str, object]:
        """Return the result for programs; times are in milliseconds but for ``seconds``."""
        latencies = self.latencies
        return {
            "calls": latencies.count,
            "failed": self._failures.total(),
            "objects": self._objects,
            "in_flight": self._options.in_flight,
            "seconds": round(self.seconds, 6),
            "calls_per_second": self._rate(),
            "latency_ms": {name: round(ms, 4) for name, ms in self._latencies()},
            "histogram": [
                {"up_to_ms": round(end * 1000, 4), "calls": count}
                for end, count in latencies.rows()
            ],
            "failures": dict(self._failures),
        }

    def _rate(self) -> float:
        return round(self.latencies.count / self.seconds, 1) if self.seconds else 0.0

    def _latencies(self) -> Iterator[tuple[str, float]]:
        latencies = self.latencies
        yield "min", latencies.least * 1000
        yield "mean", latencies.total / latencies.count * 1000
        for percent in _PERCENTS:
            yield f"p{percent:g}", latencies.percentile(percent) * 1000
        yield "max", latencies.most * 1000

    def lines(self) -> Iterator[str]:
        """Return the result for people."""
        latencies = self.latencies
        yield (
            f"{latencies.count} calls in {self.seconds:.2f} s, {self._options.in_flight} at once: "
            f"{self._rate():,} calls/s"
        )
        if self._objects != latencies.count:
            yield f"{self._objects} objects"
        yield ""
        yield "Latency"
        for name, ms in self._latencies():
            yield f"  {name:5} {ms:10.3f} ms"
        yield ""
        largest = max(count for _, count in latencies.rows())
        for end, count in latencies.rows():
            # Each row that has a call shows something.
            bar = "#" * -(-count * _WIDEST_BAR // largest)
            yield f"  up to {end * 1000:8g} ms {count:8}  {bar}".rstrip()
        if self._failures:
            yield ""
            yield f"{self._failures.total()} failed:"
            for text, count in self._failures.most_common():
                yield f"  {count:8}  {text}"
