"""The command line: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.catalogue import FIGURES
from benchmarks.cpu import LOAD_CORE, SERVER_CORE, on_core
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.figure import beside
from benchmarks.measure import measure
from benchmarks.processes import Servers
from benchmarks.report import as_json, table

if TYPE_CHECKING:
    from benchmarks.figure import Result


def main() -> int:
    """Measure, print the tables, and return the process's exit code: 1 if a measurement failed."""
    options = _options()
    if SERVER_CORE == LOAD_CORE:
        print("one core only: calls/s and p50 mean little", file=sys.stderr)
    # Ended from outside, the servers must end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, on_core(LOAD_CORE):
        try:
            results = _run(options, Path(folder))
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    if options.json:
        report = as_json(results, rounds=options.rounds, seconds=options.seconds)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _run(options: argparse.Namespace, folder: Path) -> list[Result]:
    """Measure and print one figure after the other."""
    results = []
    with Servers(folder / "servers") as servers:
        for name in dict.fromkeys(options.names or FIGURES):
            own = folder / name
            own.mkdir()
            try:
                figure = FIGURES[name](own)
            except UnavailableError as reason:
                print(f"{name}: not measured: {reason}\n", flush=True)
                continue
            if options.beside:
                figure = beside(figure, options.beside.absolute())
            result = measure(figure, servers, rounds=options.rounds, seconds=options.seconds)
            results.append(result)
            print(table(result), flush=True)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the daemon beside its peers."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each candidate (10)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn (0.5)")
    parser.add_argument(
        "--beside", type=Path, metavar="FOLDER", help="measure another checkout's daemon too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    unknown = set(options.names) - set(FIGURES)
    if unknown or options.rounds < 1:
        parser.error(f"no figure {', '.join(sorted(unknown))}" if unknown else "--rounds 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
