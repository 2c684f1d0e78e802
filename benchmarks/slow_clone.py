"""One large file and a slow reader: ``python -m benchmarks.slow_clone --help``.

In every case the file is never in the daemon: it waits in the worker, or on the disk. Each case has
a daemon of its own, with one worker for answers of any size; when the reader has gone, the request
of another client shows when that worker, or a replacement, is free again.
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import LOAD_CORE, on_core
from benchmarks.errors import BenchmarkError
from benchmarks.frames import whole_request
from benchmarks.load import connect, receive
from benchmarks.processes import Servers, environment
from benchmarks.programs import wiredaemon
from benchmarks.wire import MIB, api_path, framing, http_head, offer
from benchmarks.worker_memory import MemoryWatch, largest_worker, worker_pids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.frames import Value

LIMIT: Final = 8 * MIB
"""Bytes by which the daemon's private memory may grow."""
BACK_SECONDS: Final = 5.0
"""The most seconds from the end of a reader to an answer for another client."""

_MEGABYTE: Final = 1_000_000
_PIECE: Final = 20_000
"""Bytes of one read by the reader."""
_READ_SECONDS: Final = 1.0
"""A read that gets nothing ends after this time, so that memory is still sampled."""
_DEADLINE: Final = 120.0
_LOOKED_AT: Final = 100_000
_SHOWN: Final = 300
_SECONDS: Final = 600
_RECEIVE_BUFFER: Final = 65_536
"""Bytes that the kernel buffers for the reader; few, so that it does not read ahead."""
_DIALECT: Final = "0006"
# Two, because streams never hold the last worker: one is left for answers of any size.
_SETTINGS: Final = "[limits]\nworker_processes = 2"
_CAPABILITIES: Final = "HG20%2Cbundle2%3DHG20%250Achangegroup%253D01%252C02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A large answer, and the way in which it is read."""

    name: str
    listener: str
    request: bytes
    probe: bytes
    """A small request over the same transport, sent before and after."""
    marks: Sequence[bytes]
    """Byte strings that the beginning of the answer contains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of one case; sizes in bytes."""

    growth: int
    """Growth of the daemon's private memory, without workers, at its highest."""
    after: int
    """The growth when the reader had gone."""
    worker: int
    """Resident memory of the largest worker at its highest."""
    rest: int
    """Resident memory of the largest worker when the reader had gone."""
    read: int
    back: float
    """Seconds from the end of the reader to an answer for another client."""
    workers: int
    """The number of workers at that time."""

    @property
    def is_good(self) -> bool:
        """Whether memory and times stayed below their limits."""
        return max(self.growth, self.after) < LIMIT and self.back < BACK_SECONDS


def main() -> int:
    """Run the cases, print the table, and return the process's exit code: 1 if one is over."""
    options = _options()
    # As an exception, so that the daemon is stopped and the folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    is_good = True
    with tempfile.TemporaryDirectory(prefix="slow-clone-") as name, on_core(LOAD_CORE):
        folder = Path(name)
        repository, node = _make_repository(folder, options.size * _MEGABYTE)
        print(f"a file of {options.size} MB, read at {options.rate} kB/s for {options.seconds} s\n")
        heads = ("growth", "after", "worker", "rest", "read")
        print(f"{'MiB':28}{''.join(f'{head:>9}' for head in heads)}{'back s':>9}{'workers':>9}")
        for case in _cases(node):
            if not set(options.only) <= set(case.name.split()):
                continue
            try:
                with Servers(folder / case.name.replace(" ", "-")) as servers:
                    rate = options.rate * 1000
                    measured = _measure(case, servers, repository, rate, options.seconds)
            except BenchmarkError as error:
                is_good = False
                print(f"{case.name:28}  FAILED: {error}", flush=True)
                continue
            is_good = is_good and measured.is_good
            sizes = (measured.growth, measured.after, measured.worker, measured.rest, measured.read)
            row = "".join(f"{size / MIB:9.2f}" for size in sizes)
            row += f"{measured.back:9.2f}{measured.workers:9}"
            print(f"{case.name:28}{row}{'' if measured.is_good else '  OVER'}", flush=True)
    return 0 if is_good else 1


def _cases(node: bytes) -> Iterator[Case]:
    revisions: list[Value] = [{b"type": b"changesetexplicit", b"nodes": [node]}]
    for listener in ("http", "framed"):
        for profile in ("identity", "zstd-8mb"):
            begin = offer(profile.encode("ascii")) if profile != "identity" else b""
            yield Case(
                name=f"filesdata {listener} {profile}",
                listener=listener,
                request=_framed(
                    listener,
                    begin,
                    b"filesdata",
                    {b"fields": [b"revision"], b"revisions": revisions},
                ),
                probe=_framed(listener, b"", b"changesetdata", {b"revisions": revisions}),
                marks=[
                    *([b"200 OK"] if listener == "http" else []),
                    *([profile.encode()] if begin else []),
                ],
            )
    heads = node.hex()
    bundle = f"heads={heads}&common={'0' * 40}&bundlecaps={_CAPABILITIES}"
    for command, arguments, mark in (
        ("getbundle", bundle, b"mercurial-0.2"),
        ("stream_out", "", b"large.bin"),
    ):
        yield Case(
            name=f"{command} http",
            listener="http",
            request=_version1(command, arguments),
            probe=_version1("known", f"nodes={heads}"),
            marks=[b"200 ", mark],
        )


def _framed(listener: str, begin: bytes, name: bytes, arguments: dict[bytes, Value]) -> bytes:
    request = begin + whole_request(1, name, arguments, begins=not begin)
    if listener != "http":
        return request
    path = api_path(_DIALECT, name.decode("ascii"))
    return http_head(path, len(request), framing(_DIALECT)) + request


def _version1(command: str, arguments: str) -> bytes:
    """Return a version 1 request as today's clients send it."""
    lines = [
        f"GET /?cmd={command} HTTP/1.1",
        "Host: x",
        "Accept: application/mercurial-0.1",
        "Vary: X-HgArg-1,X-HgProto-1",
        f"X-HgArg-1: {arguments}",
        "X-HgProto-1: 0.1 0.2 comp=zstd,zlib,none,bzip2",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _measure(case: Case, servers: Servers, repository: Path, rate: int, seconds: float) -> Measured:
    """Read slowly, and measure the daemon's memory meanwhile and afterwards."""
    dialect = _DIALECT if case.listener == "framed" else ""
    server = servers.start(
        wiredaemon(case.listener, dialect=dialect, repository=repository, settings=_SETTINGS)
    )
    try:
        # Starts a worker, whose start would otherwise count as growth.
        _probe(case, server.port)
        watch = MemoryWatch(server.pid)
        read = _read_slowly(case, server.port, rate, seconds, watch)
        ended = time.monotonic()
        _probe(case, server.port)
        back = time.monotonic() - ended
        return Measured(
            growth=watch.growth,
            after=watch.after(),
            worker=watch.worker,
            rest=largest_worker(server.pid),
            read=read,
            back=back,
            workers=len(worker_pids(server.pid)),
        )
    finally:
        server.stop()


def _read_slowly(case: Case, port: int, rate: int, seconds: float, watch: MemoryWatch) -> int:
    """Read an answer at a rate for some seconds, and leave; return the number of bytes read.

    Raises:
        BenchmarkError: The answer was another one, or too short.
    """
    with _slow(port) as reader:
        reader.sendall(case.request)
        first = _first(reader, watch)
        read = len(first)
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            watch.sample()
            ahead = read / rate - (now - began)
            if ahead > 0:
                time.sleep(ahead)
            data = reader.recv(_PIECE)
            if not data:
                raise BenchmarkError(f"the answer ended behind {read} bytes")
            # Only the beginning is kept: marks are there, and this process shall stay small.
            if len(first) < _LOOKED_AT:
                first += data
            read += len(data)
    missing = [mark for mark in case.marks if mark not in first]
    if missing:
        raise BenchmarkError(f"no {missing} in {first[:_SHOWN]!r}")
    return read


def _first(reader: socket.socket, watch: MemoryWatch) -> bytes:
    """Wait for the first bytes: the time that a worker takes to begin is not the reader's."""
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        watch.sample()
        with suppress(TimeoutError):
            return reader.recv(_PIECE)
    raise BenchmarkError("nothing came")


def _slow(port: int) -> socket.socket:
    reader = socket.socket()
    # Before connecting: the kernel announces the size of its window then.
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    reader.settimeout(_READ_SECONDS)
    reader.connect(("127.0.0.1", port))
    return reader


def _probe(case: Case, port: int) -> None:
    """Send a small request on another connection, and wait for the answer's first bytes."""
    with connect(port) as connection:
        connection.sendall(case.probe)
        answer = receive(connection)
        if case.listener == "http" and b" 200 " not in answer[:20]:
            raise BenchmarkError(f"asked for little, the server answered {answer!r}")


def _make_repository(folder: Path, size: int) -> tuple[Path, bytes]:
    """Make a repository with one file of random bytes; return it and the node of its head."""
    repository = folder / "repository"
    _hg("init", str(repository))
    source = random.Random(1)  # noqa: S311 no secrets
    with (repository / "large.bin").open("wb") as file:
        while size > 0:
            size -= file.write(source.randbytes(min(size, MIB)))
    _hg("-R", str(repository), "commit", "-A", "-m", "large", "-u", "slow", "-d", "0 0")
    return repository, bytes.fromhex(_hg("-R", str(repository), "log", "-T", "{node}").decode())


def _hg(*arguments: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "mercurial", *arguments],
        env={**environment(), "HGENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=_SECONDS,
        check=True,
    ).stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.slow_clone",
        description="Measure what the daemon holds of a large file for a reader that is slow.",
    )
    parser.add_argument("only", nargs="*", metavar="word", help="of the names of cases to run")
    parser.add_argument("--size", type=int, default=300, metavar="MB", help="of the file (300)")
    parser.add_argument("--rate", type=int, default=200, metavar="kB", help="a second (200)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of reading (30)")
    options = parser.parse_args()
    if min(options.size, options.rate, options.seconds) < 1:
        parser.error("--size, --rate and --seconds: 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
