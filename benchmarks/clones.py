"""Clones from the daemon and from `hg serve`: ``python -m benchmarks.clones --help``.

The repository is generated; the client writes each clone to the disk, as people's do. So each time
includes the client's own work, which is the same with every server; the processor time of the
servers alone is in a column of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, cpu_seconds, on_core
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.processes import Servers, environment
from benchmarks.programs import hg6, hg_serve, wiredaemon
from tools.generated import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.processes import Program, Server

_SECONDS: Final = 300
_V2_GOAL: Final = 0.7
_V1_GOAL: Final = 1.2
_NO_CACHE: Final = "[limits]\ncache_size = 0"
_V2: Final = ("--config", "experimental.httppeer.advertise-v2=true")
_V2_SAID: Final = "/ro/filesdata"
"""The text in the log of a server that was called over version 2."""


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A server that is cloned from; lists have an item for each round, in seconds."""

    name: str
    program: Program
    elapsed: list[float] = field(default_factory=list)
    """From the start of the client's process to its end."""
    server: list[float] = field(default_factory=list)
    """Processor time of the server, its workers included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One kind of clone, from several servers, the peer first."""

    name: str
    client: Callable[[], Sequence[str]]
    """The command of the client."""
    options: Sequence[str]
    goal: float
    """Largest ratio of elapsed time to the peer's."""
    candidates: Sequence[Candidate]
    output: bytes = b""
    """A text that the client's output contains."""
    logged: str = ""
    """A text that the server's log contains."""


def main() -> int:
    """Run the rounds, print the tables, and return the exit code: 1 if a goal is missed."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="clones-") as name:
        folder = Path(name)
        repository = folder / "repository"
        generate(repository, changesets=options.changesets, removals=False)
        # Without secret changesets, for a stream would have them too.
        public = folder / "public"
        _run([*_hg7(), "clone", "--noupdate", "--pull", str(repository), str(public)])
        print(f"clones of {options.changesets} changesets, {options.rounds} rounds, seconds\n")
        is_good = True
        with Servers(folder / "servers") as servers:
            for table in _tables(repository, public):
                if not set(options.only) <= set(table.name.split()):
                    continue
                try:
                    _measure(table, servers, folder / "clone", options.rounds)
                except UnavailableError as reason:
                    print(f"{table.name}: left out: {reason}\n", flush=True)
                    continue
                is_good = _report(table) and is_good
    return 0 if is_good else 1


def _tables(repository: Path, public: Path) -> Sequence[Table]:
    def daemon(served: Path, settings: str) -> Program:
        return wiredaemon(repository=served, settings=f"{settings}\n[log]\nrequests = true")

    def candidates(served: Path, version: int) -> Sequence[Candidate]:
        return [
            Candidate(name="hg serve", program=hg_serve(served, version=version)),
            Candidate(name="wiredaemon, no cache", program=daemon(served, _NO_CACHE)),
            Candidate(name="wiredaemon", program=daemon(served, "")),
        ]

    return [
        Table(
            name="version2 hg 6.0.3",
            client=lambda: [str(hg6())],
            options=_V2,
            goal=_V2_GOAL,
            candidates=candidates(repository, 2),
            logged=_V2_SAID,
        ),
        Table(
            name="version1 hg 7.2",
            client=_hg7,
            options=(),
            goal=_V1_GOAL,
            candidates=candidates(repository, 1),
            logged="cmd=getbundle",
        ),
        Table(
            name="version1 hg 7.2 stream",
            client=_hg7,
            options=("--stream",),
            goal=_V1_GOAL,
            candidates=candidates(public, 1),
            output=b"streaming all changes",
            logged="cmd=getbundle",
        ),
    ]


def _measure(table: Table, servers: Servers, target: Path, rounds: int) -> None:
    """Clone from each server in turn, and add the times to its candidate.

    Raises:
        UnavailableError: A program is missing and cannot be made here.
        BenchmarkError: A clone failed, or differs from its peer's.
    """
    running = [(one, servers.shared(one.program)) for one in table.candidates]
    contents = set()
    with on_core(LOAD_CORE):
        for one, server in running:
            # Not timed: it fills the servers' caches, and shows that all give the same clone.
            _clone(table, server, target)
            contents.add(_content(target))
            # A client may fall back to another protocol without a word.
            if table.logged not in server.log:
                raise BenchmarkError(f"{table.name}, {one.name}: no {table.logged}: {server.log}")
        if len(contents) > 1:
            raise BenchmarkError(f"{table.name}: clones differ")
        for _ in range(rounds):
            for one, server in running:
                before = cpu_seconds(server.pid)
                one.elapsed.append(_clone(table, server, target))
                one.server.append(cpu_seconds(server.pid) - before)


def _clone(table: Table, server: Server, target: Path) -> float:
    # Outside of the time that is measured.
    shutil.rmtree(target, ignore_errors=True)
    command = [*table.client(), "clone", "--noupdate", *table.options]
    began = time.monotonic()
    output = _run([*command, f"http://127.0.0.1:{server.port}/", str(target)])
    seconds = time.monotonic() - began
    if table.output not in output:
        raise BenchmarkError(f"{table.name}: {output.decode('utf-8', 'replace')}")
    return seconds


def _content(clone: Path) -> str:
    """Return a digest of a clone's files, changesets and phases; equal clones have the same."""
    nodes = _run([*_hg7(), "-R", str(clone), "manifest", "--all"])
    nodes += _run([*_hg7(), "-R", str(clone), "log", "-T", "{node} {phase}\n"])
    return hashlib.sha256(nodes).hexdigest()


def _report(table: Table) -> bool:
    print(f"{table.name:32}{'elapsed':>9}{'least..most':>14}{'ratio':>8}{'server':>9}{'ratio':>8}")
    elapsed, used = (
        statistics.median(values)
        for values in (table.candidates[0].elapsed, table.candidates[0].server)
    )
    is_good = True
    for number, one in enumerate(table.candidates):
        median, server = statistics.median(one.elapsed), statistics.median(one.server)
        span = f"{min(one.elapsed):.2f}..{max(one.elapsed):.2f}"
        row = f"  {one.name:30}{median:9.2f}{span:>14}"
        if number:
            ratio = median / elapsed
            row += f"{ratio:8.2f}{server:9.2f}{server / used:8.2f}"
            row += f"   goal <= {table.goal}{'' if ratio <= table.goal else '  MISSED'}"
            is_good = is_good and ratio <= table.goal
        else:
            row += f"{'':8}{server:9.2f}"
        print(row)
    print(flush=True)
    return is_good


def _hg7() -> Sequence[str]:
    return [sys.executable, "-m", "mercurial"]


def _run(command: Sequence[str]) -> bytes:
    """Run a client and return its output.

    Raises:
        BenchmarkError: The client failed.
    """
    finished = subprocess.run(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        check=False,
    )
    if finished.returncode:
        text = finished.stdout.decode("utf-8", "replace")
        raise BenchmarkError(f"{' '.join(command)}: {text}")
    return finished.stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clones",
        description="Measure clones by real clients, from the daemon and from hg serve.",
    )
    parser.add_argument("only", nargs="*", metavar="word", help="of the names of tables to run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--changesets", type=int, default=3000)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
