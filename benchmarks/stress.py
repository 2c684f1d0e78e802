"""A check that the daemon answers right under load: ``python -m benchmarks.stress --help``."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, allow_connections, on_core
from benchmarks.daemon import DEADLINE, DIALECTS, Control, Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.mix import COMMANDS
from benchmarks.swarm import swarm
from benchmarks.wire import MIB

if TYPE_CHECKING:
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


def main() -> int:
    """Run over TCP and over TLS, and return the process's exit code: 1 on any mistake."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    allow_connections(2 * max(options.connections, options.tls_connections))
    is_good = True
    with tempfile.TemporaryDirectory(prefix="stress-") as folder, on_core(LOAD_CORE):
        for listener, connections in (
            ("framed", options.connections),
            ("framed_tls", options.tls_connections),
        ):
            if not connections:
                continue
            print(f"{listener}: {connections} connections, {options.window} requests in flight")
            # The idle one keeps pages of files shared: see `benchmarks.memory`.
            with (
                Daemon(Path(folder, f"{listener} idle"), "mixed_commands") as idle,
                Daemon(Path(folder, listener), "mixed_commands") as daemon,
            ):
                faults = _check(daemon, idle, listener, connections, options)
            for fault in faults:
                print(f"  MISTAKE: {fault}", flush=True)
            is_good = is_good and not faults
    print("all is right" if is_good else "there were mistakes")
    return 0 if is_good else 1


def _check(
    daemon: Daemon, idle: Daemon, listener: str, connections: int, options: argparse.Namespace
) -> list[str]:
    """Do equal runs behind a short one, and return the mistakes."""
    faults = []
    connection = daemon.connect("framed", "0003")
    try:
        control = Control(connection)
        try:
            # Both, so that they map the same files.
            for each in (idle, daemon):
                _run(each, listener, connections, options.window, _WARM_SECONDS)
            before = _left(daemon, control, None)
            print(f"  warm: {before.private / MIB:.1f} MiB of private memory", flush=True)
            after = []
            for number in range(1, options.runs + 1):
                counts = _run(daemon, listener, connections, options.window, options.seconds)
                after.append(_left(daemon, control, before))
                print(_report(number, counts, after[-1].private), flush=True)
                faults += _compare(before, after[-1])
                # A mix that left a command out would prove nothing of it.
                faults += [
                    f"{name} was never run" for name in COMMANDS if not counts.answered[name]
                ]
                _ask_again(daemon, listener)
            # From the first full run, which allocates memory that every later run uses again.
            growth = after[-1].private - after[0].private
            print(f"  growth from run 1 to run {options.runs}: {growth / MIB:.2f} MiB", flush=True)
            if growth >= GROWTH_LIMIT:
                faults.append(f"private memory grew by {growth} bytes")
        except BenchmarkError as error:
            faults.append(str(error))
    finally:
        connection.close()
    return faults + [f"logged: {line}" for line in daemon.alarms]


def _run(daemon: Daemon, listener: str, connections: int, window: int, seconds: float) -> Counts:
    return swarm(
        daemon, listener=listener, connections=connections, window=window, seconds=seconds, seed=1
    )


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


def _report(number: int, counts: Counts, private: int) -> str:
    total = counts.answered.total()
    latencies = sorted(counts.latencies)
    half, nearly_all = (
        latencies[min(total - 1, total * share // _PERCENT)] * 1000 for share in (50, 99)
    )
    answered = ", ".join(f"{name} {counts.answered[name]}" for name in COMMANDS)
    return (
        f"  run {number}: {total} right answers in {counts.seconds:.1f} s, "
        f"{total / counts.seconds:.0f}/s, p50 {half:.0f} ms, p99 {nearly_all:.0f} ms\n"
        f"    {answered}\n"
        f"    {counts.abandoned} abandoned; {counts.bytes_out / MIB:.1f} MiB sent, "
        f"{counts.bytes_in / MIB:.1f} MiB received; {private / MIB:.1f} MiB of private memory"
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
    options = parser.parse_args()
    if options.window < 1 or options.seconds <= 0 or options.runs < 1:
        parser.error("--window, --seconds and --runs must be positive")
    return options


if __name__ == "__main__":
    sys.exit(main())
