"""Many whole clones at once over version 1: ``python -m benchmarks.storm --help``.

Raw readers ask for what `hg clone` asks for, and read it to the end: the servers are the limit. The
first clone behind a push is a real one, for which our daemon has a bundle that it made in between.
The peers are `hg serve` and hgweb under gunicorn with two workers, in the same run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, cpu_seconds, on_core, own_private_memory
from benchmarks.errors import BenchmarkError
from benchmarks.processes import Servers
from benchmarks.programs import gunicorn, hg_serve, wiredaemon
from benchmarks.requests import memory_folder, mercurial, read_whole
from tools.generated import generate

if TYPE_CHECKING:
    from benchmarks.processes import Program, Server

_CLONES: Final = 24
_SETTLED: Final = 0.5
"""Seconds in which the daemon sees that no clock tick hides a change, and keeps an answer."""
_AT_ONCE: Final = 6
_SAMPLE: Final = 0.25
"""Seconds between two looks at the memory."""
_SLOW: Final = 200
_SECONDS: Final = 300
_LEAST: Final = 10_000
"""Bytes that a whole answer has at least: less is an error of the server."""
_NULL: Final = "0" * 40
_MIB: Final = 1 << 20
_GUNICORN: Final = "hgweb, gunicorn"
_OURS: Final = "wiredaemon"
_REQUEST: Final = (
    "GET /?cmd=getbundle HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    "X-HgArg-1: bundlecaps=HG20%2Cbundle2%3DHG20%250Achangegroup%253D01%252C02"
    "%250Aphases%253Dheads&cg=1&common={null}&heads={heads}&phases=1\r\n"
    "X-HgProto-1: 0.1 0.2 comp=zstd,zlib,none,bzip2 partial-pull\r\n\r\n"
)


@dataclass(slots=True, kw_only=True)
class Result:
    """What one server needed."""

    each: float
    """Processor seconds of the server for each clone behind the first."""
    wall: float
    """Seconds for all clones, some at once."""
    heads: float
    """Seconds of the slowest `?cmd=heads` meanwhile."""
    after_push: float
    """Processor seconds of the server for the first real clone behind a push of one changeset."""
    secret: float
    """Seconds of a real `hg clone -U`, the median of three, where something is secret."""
    real: float = 0.0
    """The same where nothing is, with the defaults: near clients of ours copy the store."""
    unstreamed: float = 0.0
    """The same with `stream-bundles-first = no` of ours; nearly all is the client's own time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: ours beside a peer's."""

    name: str
    attribute: str
    peer: str
    goal: float | None
    """The ratio at most; None for a row that is shown beside others."""


_ROWS: Final = (
    Row(name="processor time of a clone", attribute="each", peer=_GUNICORN, goal=1 / 25),
    Row(name=f"{_CLONES} clones", attribute="wall", peer=_GUNICORN, goal=1 / 8),
    Row(name="first after a push", attribute="after_push", peer=_GUNICORN, goal=1 / 5),
    Row(name="slowest heads meanwhile", attribute="heads", peer="hg serve", goal=1.0),
    Row(name="real hg clone -U", attribute="real", peer="hg serve", goal=0.6),
    Row(name="  stream-bundles-first = no", attribute="unstreamed", peer="hg serve", goal=None),
    Row(name="  with secret changesets", attribute="secret", peer="hg serve", goal=None),
)


def main() -> int:
    """Measure all servers, print the table, and return the exit code: 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.storm",
        description="Measure many whole clones at once, beside hg serve and hgweb under gunicorn.",
    )
    parser.add_argument("--changesets", type=int, default=3000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="storm-") as name,
        tempfile.TemporaryDirectory(prefix="storm-", dir=memory_folder()) as clones,
    ):
        folder, target = Path(name), Path(clones, "clone")
        generate(folder / "generated", changesets=options.changesets, removals=False)
        _make_public(folder)
        with Servers(folder / "servers") as servers:
            results = {}
            for number, peer in enumerate(("hg serve", _GUNICORN, _OURS)):
                # A copy for each: the push must find all of them alike.
                repository = folder / f"repository-{number}"
                shutil.copytree(folder / "generated", repository)
                server = servers.start(_program(peer, repository))
                with ExitStack() as ending:
                    ending.callback(server.stop)
                    results[peer] = _measure(server, repository, target, is_ours=peer == _OURS)
                    if peer == _OURS:
                        grown = _grown(server, repository)
                for copied in ("real", "unstreamed"):
                    server = servers.start(_program(peer, folder / copied))
                    with ExitStack() as ending:
                        ending.callback(server.stop)
                        seconds = _seconds(server, folder / copied, target, is_ours=peer == _OURS)
                        setattr(results[peer], copied, seconds)
    return 0 if _report(results, grown, options.changesets) else 1


def _program(peer: str, repository: Path) -> Program:
    if peer == _OURS:
        return wiredaemon(repository=repository, settings="[limits]\nconnections_per_address = 300")
    return gunicorn(repository) if peer == _GUNICORN else hg_serve(repository, version=1)


def _measure(server: Server, repository: Path, target: Path, *, is_ours: bool) -> Result:
    with on_core(LOAD_CORE):
        request = _request(repository)
        size = read_whole(server.port, request, least=_LEAST)
        time.sleep(_SETTLED)
        before, began = cpu_seconds(server.pid), time.monotonic()
        slowest = _Slowest(server.port)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            sizes = list(
                pool.map(lambda _: read_whole(server.port, request, least=_LEAST), range(_CLONES))
            )
        wall = time.monotonic() - began
        each = (cpu_seconds(server.pid) - before) / _CLONES
        heads = slowest.stop()
        if min(sizes) < size * 0.9:
            raise BenchmarkError(f"answers of {min(sizes)} and {size} bytes: {server.log}")
        secret = statistics.median(_real(server.port, target) for _ in range(3))
        if is_ours:
            _wait_for_bundle(server)
        _commit(repository)
        time.sleep(_SETTLED)
        before = cpu_seconds(server.pid)
        _real(server.port, target)
        after = cpu_seconds(server.pid) - before
    return Result(each=each, wall=wall, heads=heads, after_push=after, secret=secret)


def _seconds(server: Server, repository: Path, target: Path, *, is_ours: bool) -> float:
    with on_core(LOAD_CORE):
        read_whole(server.port, _request(repository), least=_LEAST)
        if is_ours:
            _wait_for_bundle(server, ";stream=")
        return statistics.median(_real(server.port, target) for _ in range(3))


def _make_public(folder: Path) -> None:
    """Make repositories of which nothing is secret or a draft, so that their stores may be copied.

    One is `real`; clones of `unstreamed` are to do without copies.
    """
    target, other = folder / "real", folder / "unstreamed"
    mercurial("clone", "--noupdate", "--pull", str(folder / "generated"), str(target))
    mercurial("-R", str(target), "phase", "--public", "-r", "all()")
    shutil.copytree(target, other)
    hgrc = other / ".hg" / "hgrc"
    hgrc.write_text("[wiredaemon]\nstream-bundles-first = no\n", encoding="ascii")


def _wait_for_bundle(server: Server, kind: str = "zstd-v2") -> None:
    """Wait for what the daemon makes when nobody has asked for a clone for a while."""
    until = time.monotonic() + _SECONDS
    while not re.search(rf" is kept: \S*{kind}", server.log):
        if time.monotonic() > until:
            raise BenchmarkError(f"no bundle was made: {server.log}")
        time.sleep(_SETTLED)


class _Slowest:
    """Asks for the heads again and again, in a thread, until it is stopped."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends = threading.Event()
        self._seconds = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        request = b"GET /?cmd=heads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        while not self._ends.wait(0.02):
            began = time.monotonic()
            read_whole(self._port, request, least=40)
            self._seconds = max(self._seconds, time.monotonic() - began)

    def stop(self) -> float:
        """Return the seconds of the slowest one."""
        self._ends.set()
        self._thread.join()
        return self._seconds


def _grown(server: Server, repository: Path) -> int:
    """Return the bytes by which the daemon grows while many slow readers take clones."""
    request = _request(repository)
    time.sleep(_SETTLED)
    read_whole(server.port, request, least=_LEAST)
    before = most = own_private_memory(server.pid)
    with ExitStack() as readers:
        for _ in range(_SLOW):
            reader = socket.create_connection(("127.0.0.1", server.port), _SECONDS)
            readers.callback(reader.close)
            reader.sendall(request)
        for _ in range(20):
            time.sleep(_SAMPLE)
            most = max(most, own_private_memory(server.pid))
    return most - before


def _request(repository: Path) -> bytes:
    heads = mercurial("-R", str(repository), "heads", "--closed", "-T", "{node}\n").decode().split()
    secret = (
        mercurial("-R", str(repository), "log", "-r", "secret()", "-T", "{node}\n").decode().split()
    )
    named = "+".join(sorted(set(heads) - set(secret)))
    return _REQUEST.format(null=_NULL, heads=named).encode()


def _commit(repository: Path) -> None:
    mercurial("-R", str(repository), "update", "--quiet", "--clean", "last(not secret())")
    (repository / "pushed").write_text("pushed", encoding="ascii")
    mercurial("-R", str(repository), "commit", "-A", "-q", "-u", "x", "-m", "pushed")


def _real(port: int, target: Path) -> float:
    shutil.rmtree(target, ignore_errors=True)
    began = time.monotonic()
    mercurial("clone", "--noupdate", f"http://127.0.0.1:{port}/", str(target))
    return time.monotonic() - began


def _report(results: dict[str, Result], grown: int, changesets: int) -> bool:
    print(f"whole clones of {changesets} changesets, {_AT_ONCE} at once, seconds\n")
    print(f"{'':28}" + "".join(f"{peer:>18}" for peer in results) + f"{'ratio':>9}  goal")
    is_good = True
    for row in _ROWS:
        values = {peer: getattr(one, row.attribute) for peer, one in results.items()}
        ratio = values[_OURS] / values[row.peer]
        cells = "".join(f"{value:18.3f}" for value in values.values())
        is_met = row.goal is None or ratio <= row.goal
        goal = f"of {row.peer}" if row.goal is None else f"<= {row.goal:.3f} of {row.peer}"
        print(f"{row.name:28}{cells}{ratio:9.3f}  {goal}{'' if is_met else '  MISSED'}")
        is_good = is_good and is_met
    limit = 8 * _MIB
    print(f"{_SLOW} slow readers: {grown / _MIB:.1f} MiB more in the daemon, goal <= 8")
    return is_good and grown <= limit


if __name__ == "__main__":
    sys.exit(main())
