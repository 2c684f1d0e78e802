"""Memory of both sides while much data goes through our client: ``make transfers``."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.caller import Caller
from benchmarks.callers.orders import PIECE
from benchmarks.cpu import LOAD_CORE, memory_of, on_core, reset_peak
from benchmarks.daemon import Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.wire import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH_LIMIT: Final = 16 * MIB
"""Bytes by which the resident memory of either side may grow at its highest."""
_WARM: Final = 16 * MIB
"""Bytes that go through in front, so that what is kept for all data is there already."""
_CLIENTS: Final = ("aio", "twisted", "blocking")
_URLS: Final = {"raw": ("hgrpc", "framed"), "http": ("http", "http")}
_DIRECTIONS: Final = ("up", "down")


def main() -> int:
    """Measure, print the table, and return the process's exit code: 1 if a goal was missed."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cases = [
        (transport, client, direction)
        for transport in _URLS
        for client in _CLIENTS
        for direction in _DIRECTIONS
        if set(options.words) <= {transport, client, direction}
    ]
    print(f"{options.size} MB through a client; growth at its highest in MiB\n")
    print(f"  {'':<24}{'server':>10}{'client':>10}{'MB/s':>10}")
    is_good = True
    with tempfile.TemporaryDirectory(prefix="transfers-") as folder, on_core(LOAD_CORE):
        for case in cases:
            try:
                grown, seconds = _measure(Path(folder, "-".join(case)), case, options.size)
            except BenchmarkError as error:
                print(f"  {' '.join(case)}: {error}", flush=True)
                return 1
            is_met = max(grown) <= GROWTH_LIMIT
            is_good = is_good and is_met
            cells = [*(f"{each / MIB:.1f}" for each in grown), f"{options.size / seconds:.0f}"]
            shown = "".join(f"{cell:>10}" for cell in cells)
            print(f"  {' '.join(case):<24}{shown}   {'met' if is_met else 'MISSED'}", flush=True)
    return 0 if is_good else 1


def _measure(folder: Path, case: Sequence[str], size: int) -> tuple[list[int], float]:
    """Return the growth of the daemon and of the client, in bytes, and the seconds it took."""
    transport, client, direction = case
    scheme, listener = _URLS[transport]
    with Daemon(folder, "transfer_commands") as daemon:
        url = f"{scheme}://127.0.0.1:{daemon.port(listener, '0006')}/"
        caller = Caller("transfer", client, url, direction, calls=size * 1_000_000 // len(PIECE))
        try:
            caller.order(_WARM // len(PIECE))
            pids = daemon.pid, caller.pid
            for pid in pids:
                reset_peak(pid)
            before = [memory_of(pid, "VmRSS") for pid in pids]
            began = time.monotonic()
            caller.exchange()
            seconds = time.monotonic() - began
            after = [memory_of(pid, "VmHWM") for pid in pids]
        finally:
            caller.close()
        if daemon.alarms:
            raise BenchmarkError(f"logged: {daemon.alarms}")
    return [high - low for high, low in zip(after, before, strict=True)], seconds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transfers",
        description="Measure the memory of both sides while much data goes through our client.",
    )
    words = [*_URLS, *_CLIENTS, *_DIRECTIONS]
    parser.add_argument(
        "words", nargs="*", choices=[*words, []], help=f"cases with all of: {', '.join(words)}"
    )
    parser.add_argument("--size", type=int, default=500, help="MB of each case (500)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
