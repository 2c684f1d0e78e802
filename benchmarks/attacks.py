"""What attacks do to the daemon and to honest clients: ``python -m benchmarks.attacks --help``.

Each row has a daemon of its own with the default limits. Beside the attack an honest client asks
for an echo every 20 ms, over raw TCP and over HTTP.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.attack_rows import ROWS, Target, attack, http_head
from benchmarks.cpu import LOAD_CORE, allow_connections, on_core
from benchmarks.daemon import Control, Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.frames import Chunks, whole_request
from benchmarks.load import receive
from benchmarks.wire import MIB

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from multiprocessing.sharedctypes import Synchronized

    from benchmarks.attack_rows import Row

GROWTH: Final = 16 * MIB
"""Bytes by which an attack may make the daemon grow."""
LEFT: Final = 4 * MIB
"""Bytes that may be left of it, ten seconds later."""
HONEST: Final = 0.1
"""Seconds within which 99 of 100 honest answers must be there."""
_HIT: Final = "LimitHits#warn"
_LATER: Final = 10.0
_REST: Final = 5.0
_CONNECTIONS: Final = 1200
_PAUSE: Final = 0.02
_SAMPLE: Final = 0.05
_PERCENT: Final = 99
_NICE: Final = 10


@dataclass(slots=True, kw_only=True)
class Honest:
    """The waits of an honest client in seconds, and what went wrong for it."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The wait that 99 of 100 answers did not exceed."""
        waits = sorted(self.waits) or [0.0]
        return waits[min(len(waits) - 1, len(waits) * _PERCENT // 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The measurements of one row; sizes in bytes, times in seconds."""

    row: Row
    growth: int
    left: int
    honest: Honest
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
        if self.honest.p99 > HONEST:
            faults.append("honest clients wait")
        if self.honest.failures:
            faults.append(f"honest clients fail: {self.honest.failures[0]}")
        if self.row.deadline is not None and self.lasted is None:
            faults.append("held too long")
        # That a limit was hit is what it is for.
        return faults + [line for line in self.alarms if _HIT not in line][:3]


def main() -> int:
    """Run the rows, print the table, and return the process's exit code: 1 if one falls short."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    allow_connections(_CONNECTIONS)
    print(
        f"{'MiB; ms; s':46}{'growth':>8}{'left':>8}{'p99':>8}{'worst':>8}{'asked':>7}{'ended':>7}"
    )
    is_good = True
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        for number, row in enumerate(_chosen(options.only)):
            outcome = _measure(row, Path(folder, str(number)), options.seconds)
            is_good = is_good and not outcome.faults
            print(_line(outcome), flush=True)
    return 0 if is_good else 1


def _chosen(words: Sequence[str]) -> list[Row]:
    return [row for row in ROWS if all(word in row.name for word in words)]


def _measure(row: Row, folder: Path, seconds: float) -> Outcome:
    with on_core(LOAD_CORE), Daemon(folder, "mixed_commands") as daemon:
        _warm(daemon)
        # So that it has given back what it can: it looks every two seconds.
        time.sleep(_REST)
        daemon.settle()
        before = daemon.private
        stop = threading.Event()
        honest = Honest()
        asking = [
            threading.Thread(target=_ask, args=(make(daemon), honest, stop))
            for make in (_raw_client, _http_client)
        ]
        lasted = multiprocessing.Value("d", -1.0)
        attacking = multiprocessing.Process(
            target=_attack,
            args=(row, _target(daemon), max(seconds, row.deadline or 0), lasted),
            daemon=True,
        )
        for thread in asking:
            thread.start()
        attacking.start()
        highest = before
        while attacking.is_alive():
            highest = max(highest, daemon.private)
            time.sleep(_SAMPLE)
        stop.set()
        for thread in asking:
            thread.join()
        time.sleep(_LATER)
        return Outcome(
            row=row,
            growth=highest - before,
            left=daemon.private - before,
            honest=honest,
            lasted=lasted.value if lasted.value >= 0 else None,
            alarms=daemon.alarms,
        )


def _target(daemon: Daemon) -> Target:
    ports = {}
    for listener in ("http", "https", "framed", "framed_tls"):
        for dialect in ("0003", "0006"):
            ports[listener, dialect] = daemon.port(listener, dialect)
    return Target(ports=ports, certificate=str(daemon.certificate))


def _attack(row: Row, target: Target, seconds: float, lasted: Synchronized[float]) -> None:
    # Honest clients share the core with the attack, and must not wait for it there.
    os.nice(_NICE)

    def ended(after: float) -> None:
        lasted.value = after

    attack(row, target, seconds, ended)


def _warm(daemon: Daemon) -> None:
    """Let the daemon do each of the things once that it keeps memory for."""
    for make in (_raw_client, _http_client):
        ask, close = make(daemon)
        for _ in range(100):
            ask()
        close()


def _ask(
    client: tuple[Callable[[], None], Callable[[], None]], honest: Honest, stop: threading.Event
) -> None:
    """Ask until it is time to stop."""
    ask, close = client
    while not stop.is_set():
        began = time.perf_counter()
        try:
            ask()
        except (BenchmarkError, OSError) as error:
            honest.failures.append(str(error))
            break
        honest.waits.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    with contextlib.suppress(OSError):
        close()


def _raw_client(daemon: Daemon) -> tuple[Callable[[], None], Callable[[], None]]:
    connection = daemon.connect("framed", "0003")
    control = Control(connection)

    def ask() -> None:
        if control.ask(b"echo", {b"data": b"honest"}) != b"honest":
            raise BenchmarkError("a wrong answer")

    return ask, connection.close


def _http_client(daemon: Daemon) -> tuple[Callable[[], None], Callable[[], None]]:
    connection: socket.socket = daemon.connect("http", "0003")
    body = whole_request(1, b"echo", {b"data": b"honest"})
    request = http_head("echo", {"Content-Length": str(len(body))}) + body

    def ask() -> None:
        connection.sendall(request)
        chunks, content = Chunks(), b""
        while not chunks.ended:
            content += chunks.feed(receive(connection))
        if not content.endswith(b"honest"):
            raise BenchmarkError("a wrong answer over HTTP")

    return ask, connection.close


def _line(outcome: Outcome) -> str:
    honest = outcome.honest
    worst = max(honest.waits, default=0.0)
    lasted = "-" if outcome.lasted is None else f"{outcome.lasted:.1f}"
    return (
        f"{outcome.row.name:46}{outcome.growth / MIB:8.1f}{outcome.left / MIB:8.1f}"
        f"{honest.p99 * 1000:8.1f}{worst * 1000:8.1f}{len(honest.waits):7}{lasted:>7}"
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
