"""A check that the daemon answers right under load: ``python -m benchmarks.stress --help``."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, allow_connections, on_core
from benchmarks.crowd import SORTS, crowd
from benchmarks.daemon import DEADLINE, DIALECTS, Control, Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.mix import COMMANDS
from benchmarks.swarm import swarm
from benchmarks.wire import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.swarm import Counts

GROWTH_LIMIT: Final = 8 * MIB
"""Bytes by which private memory may grow from the first run to the last, equal one."""
_WARM_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
_ASKED: Final = b"still there?"
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """The daemon's state when only the connection that queries it is left."""

    descriptors: list[str]
    objects: dict[str, int]
    private: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What is run against a daemon, several times."""

    name: str
    listener: str
    connections: int
    window: int
    """Requests in flight on each connection."""
    seconds: float
    sorts: Sequence[str]
    """The sorts of requests, each of which must have been answered."""
    run: Callable[..., Counts]

    @property
    def settings(self) -> str:
        """The daemon's limits: all of the load is to be answered, and none of it refused."""
        waiting = self.connections * self.window
        return (
            f"[paths]\n[limits]\nconnections = {2 * self.connections}\n"
            f"blocking_waiting = {waiting}\n"
        )

    def once(self, daemon: Daemon, seconds: float) -> Counts:
        """Run it for so long.

        Raises:
            BenchmarkError: An answer was wrong or missing.
        """
        return self.run(
            daemon, connections=self.connections, window=self.window, seconds=seconds, seed=1
        )


def main() -> int:
    """Run over TCP, over TLS and by our client, and return the exit code: 1 on any mistake."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    allow_connections(
        2 * max(options.connections, options.tls_connections, options.client_connections)
    )
    is_good = True
    with tempfile.TemporaryDirectory(prefix="stress-") as folder, on_core(LOAD_CORE):
        for load in _loads(options):
            if not load.connections:
                continue
            print(f"{load.name}: {load.connections} connections, {load.window} requests in flight")
            settings = load.settings
            # The idle one keeps pages of files shared: see `benchmarks.memory`.
            with (
                Daemon(Path(folder, f"{load.name} idle"), "mixed_commands", settings) as idle,
                Daemon(Path(folder, load.name), "mixed_commands", settings) as daemon,
            ):
                faults = _check(daemon, idle, load, options.runs)
            for fault in faults:
                print(f"  MISTAKE: {fault}", flush=True)
            is_good = is_good and not faults
    print("all is right" if is_good else "there were mistakes")
    return 0 if is_good else 1


def _loads(options: argparse.Namespace) -> list[_Load]:
    """Return what is run, one after the other."""
    window, seconds = options.window, options.seconds

    def raw(listener: str, connections: int) -> _Load:
        return _Load(
            name=listener,
            listener=listener,
            connections=connections,
            window=window,
            seconds=seconds,
            sorts=COMMANDS,
            run=partial(swarm, listener=listener),
        )

    client = _Load(
        name="client",
        listener="framed",
        connections=options.client_connections,
        window=options.client_window,
        seconds=options.client_seconds,
        sorts=SORTS,
        run=crowd,
    )
    return [
        raw("framed", options.connections),
        raw("framed_tls", options.tls_connections),
        client,
    ]


def _check(daemon: Daemon, idle: Daemon, load: _Load, runs: int) -> list[str]:
    """Do equal runs behind a short one, and return the mistakes."""
    faults = []
    connection = daemon.connect("framed", "0003")
    try:
        control = Control(connection)
        try:
            # Both, so that they map the same files.
            for each in (idle, daemon):
                load.once(each, _WARM_SECONDS)
            before = _left(daemon, control, None)
            print(f"  warm: {before.private / MIB:.1f} MiB of private memory", flush=True)
            after = []
            for number in range(1, runs + 1):
                counts = load.once(daemon, load.seconds)
                after.append(_left(daemon, control, before))
                print(_report(number, counts, load.sorts, after[-1].private), flush=True)
                faults += _compare(before, after[-1])
                # A mix that left a command out would prove nothing of it.
                faults += [
                    f"{name} was never run" for name in load.sorts if not counts.answered[name]
                ]
                _ask_again(daemon, load.listener)
            # From the first full run, which allocates memory that every later run uses again.
            growth = after[-1].private - after[0].private
            print(f"  growth from run 1 to run {runs}: {growth / MIB:.2f} MiB", flush=True)
            if growth >= GROWTH_LIMIT:
                faults.append(f"private memory grew by {growth} bytes")
        except BenchmarkError as error:
            faults.append(str(error))
    finally:
        connection.close()
    # How long a turn takes is no mistake here: others use the cores too.
    alarms = [line for line in daemon.alarms if "Watchdog" not in line]
    return faults + [f"logged: {line}" for line in alarms]


def _left(daemon: Daemon, control: Control, before: _Left | None) -> _Left:
    """Return the state that is left, once it is no more than before, or after a while."""
    end = time.monotonic() + DEADLINE / 4
    while True:
        # Connections that were left are noticed and closed behind the run.
        daemon.settle()
        lines = control.ask(b"left").decode("ascii").splitlines()
        pairs = (line.rpartition(" ") for line in lines)
        left = _Left(
            descriptors=daemon.descriptors,
            objects={name: int(count) for name, _, count in pairs},
            private=daemon.private,
        )
        if before is None or not _compare(before, left) or time.monotonic() > end:
            return left
        time.sleep(_POLL_SECONDS)


def _compare(before: _Left, after: _Left) -> list[str]:
    faults = [
        f"{count} of {name} are left, {before.objects[name]} before"
        for name, count in after.objects.items()
        if count > before.objects[name]
    ]
    if before.descriptors != after.descriptors:
        faults.append(f"descriptors: {after.descriptors}, before {before.descriptors}")
    return faults


def _ask_again(daemon: Daemon, listener: str) -> None:
    """Check that the listener still answers, on a new connection."""
    connection = daemon.connect(listener, DIALECTS[0])
    try:
        if Control(connection).ask(b"echo", {b"data": _ASKED}) != _ASKED:
            raise BenchmarkError("the daemon does not answer any more")
    finally:
        connection.close()


def _report(number: int, counts: Counts, sorts: Sequence[str], private: int) -> str:
    total = counts.answered.total()
    latencies = sorted(counts.latencies)
    half, nearly_all = (
        latencies[min(total - 1, total * share // _PERCENT)] * 1000 for share in (50, 99)
    )
    answered = ", ".join(f"{name} {counts.answered[name]}" for name in sorts)
    bytes_moved = (
        f"; {counts.bytes_out / MIB:.1f} MiB sent, {counts.bytes_in / MIB:.1f} MiB received"
        if counts.bytes_in
        else ""
    )
    return (
        f"  run {number}: {total} right answers in {counts.seconds:.1f} s, "
        f"{total / counts.seconds:.0f}/s, p50 {half:.0f} ms, p99 {nearly_all:.0f} ms\n"
        f"    {answered}\n"
        f"    {counts.abandoned} abandoned{bytes_moved}; {private / MIB:.1f} MiB of private memory"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stress",
        description="Check every answer of a daemon under load, and what is left behind it.",
    )
    parser.add_argument("--connections", type=int, default=500, help="over TCP (500); 0 for none")
    parser.add_argument("--tls-connections", type=int, default=100, help="over TLS (100)")
    parser.add_argument("--window", type=int, default=16, help="requests in flight on each (16)")
    parser.add_argument("--seconds", type=float, default=30, help="of each run (30)")
    parser.add_argument("--runs", type=int, default=2, help="over TCP, and over TLS (2)")
    parser.add_argument("--client-connections", type=int, default=1000, help="of our client (1000)")
    parser.add_argument("--client-window", type=int, default=32, help="calls on each of them (32)")
    parser.add_argument("--client-seconds", type=float, default=60, help="of each of its runs (60)")
    options = parser.parse_args()
    if options.window < 1 or options.seconds <= 0 or options.runs < 1:
        parser.error("--window, --seconds and --runs must be positive")
    return options


if __name__ == "__main__":
    sys.exit(main())
