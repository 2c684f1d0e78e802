"""The memory that the daemon holds for slow peers: ``python -m benchmarks.memory --help``."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, on_core
from benchmarks.daemon import Control, Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.flow import Case, run
from benchmarks.pieces import NOISE, TEXT
from benchmarks.wire import MIB, PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIMIT: Final = 8 * MIB
"""Bytes by which private memory may grow."""
_LISTENERS: Final = ("http", "https", "framed", "framed_tls")
_MEGABYTE: Final = 1_000_000
_WARM_PIECES: Final = 128
_WARM_CALLS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of one case; sizes in bytes."""

    case: Case
    growth: int
    """Growth of private memory while the other end read nothing, in this case."""
    growth_after: int
    """The growth when all was read and the connection was closed."""
    peak: int
    """Highest growth of resident memory in this case."""
    in_flight: int
    in_kernel: int
    seconds: float
    alarms: Sequence[str]

    @property
    def is_good(self) -> bool:
        """Whether memory stayed below the limit, and no mistake was logged."""
        return max(self.growth, self.growth_after) < LIMIT and not self.alarms


def main() -> int:
    """Run the cases, print the table, and return the process's exit code: 1 if one is over."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pieces = options.size * _MEGABYTE // PIECE + 1
    print(f"{pieces * PIECE / _MEGABYTE:.0f} MB of data in each case; growth must be below 8 MiB\n")
    print(
        f"{'MiB':36}{'growth':>8}{'after':>8}{'peak':>8}{'in flight':>11}{'in kernel':>11}{'s':>7}"
    )
    with tempfile.TemporaryDirectory(prefix="memory-") as folder, on_core(LOAD_CORE):
        is_good = _run_all(_cases(options.only), pieces, Path(folder))
    return 0 if is_good else 1


def _run_all(cases: Iterable[Case], pieces: int, folder: Path) -> bool:
    # An idle daemon maps the same files all the time: otherwise other programs that start and end
    # would turn pages of those files from private ones to shared ones and back.
    is_good = True
    with Daemon(folder / "idle", "flow_commands"):
        for number, case in enumerate(cases):
            try:
                measured = _measure(case, pieces, folder / str(number))
            except BenchmarkError as error:
                is_good = False
                print(f"{case.name:36}  FAILED: {error}", flush=True)
                continue
            is_good = is_good and measured.is_good
            print(_row(measured), flush=True)
    return is_good


def _cases(words: Sequence[str]) -> Iterator[Case]:
    """Return the cases whose names contain all the words."""
    for listener in _LISTENERS:
        all_of_it = [Case(listener=listener, dialect=dialect) for dialect in ("0003", "0006")]
        all_of_it += [
            Case(listener=listener, dialect="0006", profile=profile, kind=kind)
            for profile in ("zstd-8mb", "zlib")
            for kind in (NOISE, TEXT)
        ]
        all_of_it += [
            Case(listener=listener, dialect=dialect, is_upload=True) for dialect in ("0003", "0006")
        ]
        yield from (case for case in all_of_it if set(words) <= set(case.name.split()))


def _measure(case: Case, pieces: int, folder: Path) -> Measured:
    """Run one case with a daemon of its own: none reuses memory that another one freed."""
    with Daemon(folder, "flow_commands") as daemon:
        beside = daemon.connect("framed", "0003")
        try:
            control = Control(beside)
            _warm(case, daemon, control)
            daemon.settle()
            before, resident = daemon.private, daemon.resident
            daemon.reset_peak()
            began = time.monotonic()
            rest = run(case, pieces, daemon, control, stops=True)
            seconds = time.monotonic() - began
            daemon.settle()
            return Measured(
                case=case,
                growth=rest.private - before,
                growth_after=daemon.private - before,
                peak=daemon.peak - resident,
                in_flight=rest.in_flight,
                in_kernel=rest.in_kernel,
                seconds=seconds,
                alarms=daemon.alarms,
            )
        finally:
            beside.close()


def _warm(case: Case, daemon: Daemon, control: Control) -> None:
    """Run the case with little data, unencoded, because an encoder's memory must be measured."""
    plain = replace(case, profile="", kind=NOISE)
    for _ in range(_WARM_CALLS):
        run(plain, _WARM_PIECES, daemon, control, stops=False)


def _row(measured: Measured) -> str:
    sizes = (measured.growth, measured.growth_after, measured.peak)
    row = f"{measured.case.name:36}" + "".join(f"{size / MIB:8.2f}" for size in sizes)
    row += (
        f"{measured.in_flight / MIB:11.2f}{measured.in_kernel / MIB:11.2f}{measured.seconds:7.1f}"
    )
    if max(sizes[:2]) >= LIMIT:
        row += "  OVER"
    return "\n".join([row, *(f"    logged: {line}" for line in measured.alarms)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description="Measure what the daemon holds for peers and commands that stop reading.",
    )
    parser.add_argument("only", nargs="*", metavar="word", help="of the names of cases to run")
    parser.add_argument("--size", type=int, default=200, metavar="MB", help="of the data (200)")
    options = parser.parse_args()
    if options.size < 1:
        parser.error("--size 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
