"""What attacks do to the daemon and to honest clients: ``python -m benchmarks.attacks --help``.

Each row has a daemon of its own with the default limits. Beside the attack an honest client asks
for an echo every 20 ms, over raw TCP and over HTTP; where the attack is on a repository, another
one for its heads, from an address of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.attack import PROXIED, Target, attack
from benchmarks.attack_rows import ROWS
from benchmarks.cancel_rows import CANCEL_ROWS
from benchmarks.cpu import LOAD_CORE, allow_connections, on_core
from benchmarks.daemon import Daemon
from benchmarks.honest import asking
from benchmarks.hosted import Repositories
from benchmarks.hosted_rows import HOSTED_ROWS
from benchmarks.wire import MIB
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.sharedctypes import Synchronized

    from benchmarks.attack import Row
    from benchmarks.honest import Honest

GROWTH: Final = 16 * MIB
"""Bytes by which an attack may make the daemon grow."""
LEFT: Final = 4 * MIB
"""Bytes that may be left of it, ten seconds later."""
HONEST: Final = 0.1
"""Seconds within which 99 of 100 honest answers must be there."""
WORKER: Final = Limits().worker_memory_hard
"""Bytes that a worker may have."""
WORKERS: Final = max(8, 2 * (os.cpu_count() or 1))
"""Workers that there may be: what the pool takes where the configuration names no number."""
_HITS: Final = ("LimitHits#warn", "failed: busy")
"""Parts of lines that tell of a limit."""
_LATER: Final = 10.0
_CONNECTIONS: Final = 1200
_SAMPLE: Final = 0.05
_NICE: Final = 10


@dataclass(slots=True)
class Workers:
    """The most that there was of the workers, resident sizes in bytes."""

    sum: int = 0
    largest: int = 0
    count: int = 0

    def see(self, sizes: Sequence[int]) -> None:
        """Count those that there are now."""
        self.sum = max(self.sum, sum(sizes))
        self.largest = max(self.largest, *sizes, 0)
        self.count = max(self.count, len(sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The measurements of one row; sizes in bytes, times in seconds."""

    row: Row
    growth: int
    left: int
    honest: Sequence[Honest]
    workers: Workers
    lasted: float | None
    """How long the attack went on, where the server ended it; None where it had to be stopped."""
    alarms: Sequence[str]

    @property
    def faults(self) -> list[str]:
        """What is not as promised."""
        faults = []
        if self.growth > GROWTH:
            faults.append("grows")
        if self.left > LEFT:
            faults.append("keeps memory")
        faults += [f"honest {one.name} waits" for one in self.honest if one.p99 > HONEST]
        faults += [
            f"honest clients fail: {failure}" for one in self.honest for failure in one.failures
        ]
        if self.workers.largest > WORKER or self.workers.count > WORKERS:
            faults.append("workers grow")
        if self.row.deadline is not None and self.lasted is None:
            faults.append("held too long")
        # That a limit was hit is what it is for.
        return faults + [line for line in self.alarms if not any(hit in line for hit in _HITS)][:3]


def main() -> int:
    """Run the rows, print the table, and return the process's exit code: 1 if one falls short."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    allow_connections(_CONNECTIONS)
    print(
        f"{'MiB; ms; s':46}{'growth':>8}{'left':>8}{'p99':>8}{'worst':>8}{'asked':>7}"
        f"{'heads':>8}{'workers':>9}{'':4}{'ended':>7}"
    )
    is_good = True
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        repositories = Repositories(Path(folder, "repositories"))
        for number, row in enumerate(_chosen(options.only)):
            settings = repositories.settings() if row.needs_repository else "[paths]"
            outcome = _measure(row, Path(folder, str(number)), options.seconds, settings)
            is_good = is_good and not outcome.faults
            print(_line(outcome), flush=True)
    return 0 if is_good else 1


def _chosen(words: Sequence[str]) -> list[Row]:
    return [
        row
        for row in (*ROWS, *CANCEL_ROWS, *HOSTED_ROWS)
        if all(word in row.name for word in words)
    ]


def _measure(row: Row, folder: Path, seconds: float, settings: str) -> Outcome:
    with on_core(LOAD_CORE), Daemon(folder, "mixed_commands", settings) as daemon:
        lasted = multiprocessing.Value("d", -1.0)
        with asking(daemon, has_repository=row.needs_repository) as honest:
            if row.rehearsal:
                _begin(row, daemon, row.rehearsal, multiprocessing.Value("d", -1.0)).join()
            before = highest = daemon.own
            attacking = _begin(row, daemon, max(seconds, row.deadline or 0), lasted)
            workers = Workers()
            while attacking.is_alive():
                highest = max(highest, daemon.own)
                workers.see(daemon.workers)
                time.sleep(_SAMPLE)
        time.sleep(_LATER)
        return Outcome(
            row=row,
            growth=highest - before,
            left=daemon.own - before,
            honest=honest,
            workers=workers,
            lasted=lasted.value if lasted.value >= 0 else None,
            alarms=daemon.alarms,
        )


def _begin(
    row: Row, daemon: Daemon, seconds: float, lasted: Synchronized[float]
) -> multiprocessing.Process:
    """Start an attack in a process of its own."""
    attacking = multiprocessing.Process(
        target=_attack, args=(row, _target(daemon), seconds, lasted), daemon=True
    )
    attacking.start()
    return attacking


def _target(daemon: Daemon) -> Target:
    ports = {}
    for listener in ("http", "https", "framed", "framed_tls"):
        for dialect in ("0003", "0006"):
            ports[listener, dialect] = daemon.port(listener, dialect)
    ports["http", PROXIED] = daemon.proxied_port
    return Target(ports=ports, certificate=str(daemon.certificate))


def _attack(row: Row, target: Target, seconds: float, lasted: Synchronized[float]) -> None:
    # Honest clients share the core with the attack, and must not wait for it there.
    os.nice(_NICE)

    def ended(after: float) -> None:
        lasted.value = after

    attack(row, target, seconds, ended)


def _line(outcome: Outcome) -> str:
    honest, workers = outcome.honest, outcome.workers
    p99, worst = max(one.p99 for one in honest), max(one.worst for one in honest)
    heads = next((f"{one.p99 * 1000:.1f}" for one in honest if one.name == "heads"), "-")
    lasted = "-" if outcome.lasted is None else f"{outcome.lasted:.1f}"
    return (
        f"{outcome.row.name:46}{outcome.growth / MIB:8.1f}{outcome.left / MIB:8.1f}"
        f"{p99 * 1000:8.1f}{worst * 1000:8.1f}{sum(len(one.waits) for one in honest):7}"
        f"{heads:>8}{workers.sum / MIB:9.0f}{workers.count:4}{lasted:>7}"
        f"  {'; '.join(outcome.faults) or 'stands'}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attacks",
        description="Attack a daemon of its own, row by row, and measure it and honest clients.",
    )
    parser.add_argument("only", nargs="*", metavar="word", help="of the names of rows to run")
    parser.add_argument("--seconds", type=float, default=10, help="of each attack (10)")
    options = parser.parse_args()
    if options.seconds <= 0:
        parser.error("--seconds must be positive")
    return options


if __name__ == "__main__":
    sys.exit(main())
