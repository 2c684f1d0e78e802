"""A large history, beside today's `hg serve`: ``python -m benchmarks.large_history --help``.

Two repositories are made, one a fifth as large as the other, and each is cloned, pulled from and
looked at. What grows faster than the history is seen in the last column.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, cpu_seconds, on_core, own_private_memory
from benchmarks.processes import Servers
from benchmarks.programs import hg_serve, wiredaemon
from benchmarks.requests import memory_folder, mercurial, read_answer
from benchmarks.worker_memory import worker_pids
from tools.large_history import enlarge

if TYPE_CHECKING:
    from benchmarks.processes import Server

_OURS: Final = "wiredaemon"
_PEER: Final = "hg serve"
_SAMPLE: Final = 0.2
"""Seconds between two looks at the memory."""
_SETTLED: Final = 0.5
"""Seconds in which the daemon sees that no clock tick hides a change, and keeps an answer."""
_HEADS: Final = 20
_MIB: Final = 1 << 20
_LESS: Final = 5
"""Times by which one of the repositories is smaller."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What one server needed for one repository: seconds, and bytes."""

    first_clone: float
    """Of the first `hg clone -U`."""
    next_clone: float
    """Of the next one."""
    clone_time: float
    """Processor time of the server for the first clone."""
    next_clone_time: float
    """The same for the next one."""
    pull: float
    """Of `hg pull` of one changeset."""
    nothing: float
    """Of `hg pull` of nothing."""
    heads: float
    """The median of several `?cmd=heads`."""
    first_page: float
    """The first page of the repository, asked for the first time."""
    next_page: float
    """The same page once more."""
    memory: int
    """The most private memory of the server itself."""
    worker: int
    """The most private memory of one of its workers."""


class _Peak:
    """The most memory of a server and of its workers, looked at in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ends = threading.Event()
        self.memory = self.worker = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.wait(_SAMPLE):
            with suppress(OSError):
                self.memory = max(self.memory, own_private_memory(self._pid))
                workers = map(own_private_memory, worker_pids(self._pid))
                self.worker = max(self.worker, *workers, 0)

    def stop(self) -> None:
        """Look no more."""
        self._ends.set()
        self._thread.join()


def main() -> int:
    """Measure, print the table, and return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large_history",
        description="Measure a large history, beside hg serve.",
    )
    parser.add_argument("--changesets", type=int, default=100_000)
    parser.add_argument("--bookmarks", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="a folder for the repositories, to use again")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results: dict[tuple[str, int], Result] = {}
    with (
        tempfile.TemporaryDirectory(prefix="large-history-") as name,
        tempfile.TemporaryDirectory(prefix="large-history-", dir=memory_folder()) as clones,
    ):
        folder = Path(clones)
        made = options.keep or Path(name)
        for count in (options.changesets // _LESS, options.changesets):
            repository = made / f"large-{count}"
            if not repository.exists():
                marks = options.bookmarks * count // options.changesets
                enlarge(repository, changesets=count, bookmarks=marks)
            for peer in (_PEER, _OURS):
                results[peer, count] = _measure(peer, repository, folder)
                _report(peer, count, results[peer, count])
    _compare(results, options.changesets)
    return 0


def _measure(peer: str, repository: Path, folder: Path) -> Result:
    served, clone = folder / "served", folder / "clone"
    shutil.copytree(repository, served)
    try:
        with Servers(folder / "servers") as servers, ExitStack() as ending, on_core(LOAD_CORE):
            if peer == _OURS:
                program = wiredaemon(repository=served)
            else:
                program = hg_serve(served, version=1)
            server = servers.start(program)
            ending.callback(server.stop)
            peak = _Peak(server.pid)
            ending.callback(peak.stop)
            return _ask(server, served, clone, peak)
    finally:
        for each in (served, clone):
            shutil.rmtree(each, ignore_errors=True)
        shutil.rmtree(folder / "servers", ignore_errors=True)


def _ask(server: Server, served: Path, clone: Path, peak: _Peak) -> Result:
    first_page = _page(server)
    next_page = _page(server)
    heads = statistics.median(_timed_request(server, "/?cmd=heads") for _ in range(_HEADS))
    clones: list[tuple[float, float]] = []
    for _ in range(2):
        shutil.rmtree(clone, ignore_errors=True)
        time.sleep(_SETTLED)
        before = cpu_seconds(server.pid)
        elapsed = _timed("clone", "--noupdate", f"http://127.0.0.1:{server.port}/", str(clone))
        clones.append((elapsed, cpu_seconds(server.pid) - before))
    nothing = _timed("-R", str(clone), "pull")
    mercurial("-R", str(served), "update", "--quiet", "null")
    (served / "pushed").write_text("pushed", encoding="ascii")
    mercurial("-R", str(served), "commit", "-A", "-q", "-u", "x", "-m", "pushed")
    time.sleep(_SETTLED)
    pull = _timed("-R", str(clone), "pull", "--force")
    return Result(
        first_clone=clones[0][0],
        next_clone=clones[1][0],
        clone_time=clones[0][1],
        next_clone_time=clones[1][1],
        pull=pull,
        nothing=nothing,
        heads=heads,
        first_page=first_page,
        next_page=next_page,
        memory=peak.memory,
        worker=peak.worker,
    )


def _page(server: Server) -> float:
    return _timed_request(server, "/")


def _timed_request(server: Server, target: str) -> float:
    began = time.monotonic()
    read_answer(server.port, target)
    return time.monotonic() - began


def _timed(*arguments: str) -> float:
    began = time.monotonic()
    mercurial(*arguments)
    return time.monotonic() - began


def _report(peer: str, count: int, result: Result) -> None:
    values = ", ".join(f"{each.name} {_shown(result, each.name)}" for each in fields(Result))
    print(f"{peer}, {count} changesets: {values}", flush=True)


def _compare(results: dict[tuple[str, int], Result], changesets: int) -> None:
    print(f"\n{'':18}{_PEER:>12}{_OURS:>12}{'ratio':>8}{f'x of 1/{_LESS}':>12}")
    for each in fields(Result):
        peer, ours, small = (
            getattr(results[key], each.name)
            for key in ((_PEER, changesets), (_OURS, changesets), (_OURS, changesets // _LESS))
        )
        ratio = f"{ours / peer:8.2f}" if peer else f"{'-':>8}"
        grown = f"{ours / small:12.1f}" if small else f"{'-':>12}"
        shown = [_shown(results[name, changesets], each.name) for name in (_PEER, _OURS)]
        print(f"{each.name:18}{shown[0]:>12}{shown[1]:>12}{ratio}{grown}")


def _shown(result: Result, name: str) -> str:
    value = getattr(result, name)
    return f"{value / _MIB:.0f} MiB" if isinstance(value, int) else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
