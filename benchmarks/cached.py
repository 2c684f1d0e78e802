"""A large answer, from a worker and from the cache: ``python -m benchmarks.cached --help``.

The same ``filesdata`` of a whole generated repository is requested over HTTP, in each content
encoding, from a daemon without a cache and from one with the answer in its cache, by turns. The
table shows medians of the time to the last byte and of the processor time of the daemon with its
workers, and their ratios.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import cpu_seconds
from benchmarks.errors import BenchmarkError
from benchmarks.processes import Servers
from benchmarks.programs import wiredaemon
from tools.generated import generate
from wiredaemon.protocol import ClientConnection, ResponseDataReceived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.processes import Server
    from wiredaemon.wire.values import Value

_MEDIA: Final = "application/mercurial-exp-framing-0006"
_PATH: Final = "/api/exp-http-v2-0003/ro/filesdata"
_SECONDS: Final = 300
_ENCODINGS: Final = ("identity", "zlib", "zstd-8mb")
_OFF: Final = "[limits]\ncache_size = 0\n"
_WAIT: Final = 0.1
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one content encoding; seconds are medians."""

    encoding: str
    content_mib: float
    sent_mib: float
    worker_seconds: float
    kept_seconds: float
    worker_cpu_seconds: float
    kept_cpu_seconds: float

    @property
    def ratio(self) -> float:
        """The elapsed time without the cache, divided by that with it."""
        return self.worker_seconds / self.kept_seconds

    @property
    def cpu_ratio(self) -> float:
        """The processor time without the cache, divided by that with it."""
        return self.worker_cpu_seconds / self.kept_cpu_seconds


def ask(port: int, body: bytes) -> tuple[float, bytes]:
    """Return the time to the last byte, and all bytes.

    Raises:
        BenchmarkError: The response is no complete answer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    begun = time.perf_counter()
    connection.request("POST", _PATH, body, {"Accept": _MEDIA, "Content-Type": _MEDIA})
    response = connection.getresponse()
    answer = response.read()
    taken = time.perf_counter() - begun
    connection.close()
    if response.status != http.client.OK:
        raise BenchmarkError(f"HTTP {response.status}: {answer[:200]!r}")
    return taken, answer


def request_of(nodes: Sequence[str], encoding: str) -> tuple[ClientConnection, bytes]:
    """Return a client that waits for an answer, and the bytes that it has sent."""
    client = ClientConnection(content_encodings=[encoding.encode()])
    revisions: list[Value] = [
        {b"type": b"changesetexplicit", b"nodes": [bytes.fromhex(one) for one in nodes]}
    ]
    client.send_command(
        b"filesdata",
        {b"revisions": revisions, b"fields": {b"parents", b"revision"}, b"haveparents": True},
    )
    return client, b"".join(header + payload for header, payload in client.data_to_send())


def content_of(client: ClientConnection, answer: bytes) -> bytes:
    """Decode an answer.

    Raises:
        BenchmarkError: The answer is incomplete, or an error.
    """
    events = client.receive_data(answer)
    while client.pending:
        events += client.receive_data(b"")
    if client.active or not all(isinstance(one, ResponseDataReceived) for one in events):
        raise BenchmarkError(f"not answered: {events[-1:]!r}")
    return b"".join(one.data for one in events if isinstance(one, ResponseDataReceived))


def wait_until_kept(folder: Path, count: int) -> None:
    """Wait until as many answers are in the cache of a server in a folder.

    Raises:
        BenchmarkError: It takes too long.
    """
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if len(list(folder.glob("*/data/cache/responses/*-*-*-*"))) >= count:
            return
        time.sleep(_WAIT)
    raise BenchmarkError("nothing was kept")


def measure(folder: Path, changesets: int, rounds: int) -> list[Row]:
    """Return the figures of each content encoding.

    Raises:
        BenchmarkError: An answer is wrong.
    """
    repository = folder / "repository"
    summary = generate(repository, changesets=changesets)
    # The daemon answers a request for secret changesets with an error.
    nodes = [node for node in summary.nodes if node not in summary.secret]
    rows = []
    with Servers(folder / "servers") as servers:
        asking = servers.start(wiredaemon(repository=repository, settings=_OFF))
        keeping = servers.start(wiredaemon(repository=repository))
        try:
            for number, encoding in enumerate(_ENCODINGS, start=1):
                # Fills the cache, and gives the content that every later answer must have.
                client, body = request_of(nodes, encoding)
                _, answer = ask(keeping.port, body)
                content = content_of(client, answer)
                wait_until_kept(servers.folder, number)
                # So that both servers have a worker and the files are in the system's memory.
                ask(asking.port, body)
                from_worker, kept = [], []
                # By turns, so that a slow minute of the machine hits both.
                for _ in range(rounds):
                    from_worker.append(measure_one(asking, nodes, encoding, content))
                    kept.append(measure_one(keeping, nodes, encoding, content))
                rows.append(
                    Row(
                        encoding=encoding,
                        content_mib=len(content) / _MIB,
                        sent_mib=len(answer) / _MIB,
                        worker_seconds=median(one[0] for one in from_worker),
                        kept_seconds=median(one[0] for one in kept),
                        worker_cpu_seconds=median(one[1] for one in from_worker),
                        kept_cpu_seconds=median(one[1] for one in kept),
                    )
                )
        finally:
            asking.stop()
            keeping.stop()
    return rows


def measure_one(
    server: Server, nodes: Sequence[str], encoding: str, content: bytes
) -> tuple[float, float]:
    """Return time and processor time of one answer, after checking it.

    Raises:
        BenchmarkError: The answer is wrong.
    """
    client, body = request_of(nodes, encoding)
    before = cpu_seconds(server.pid)
    taken, answer = ask(server.port, body)
    # Before the check below, which runs in this process and may take longer than the answer.
    used = cpu_seconds(server.pid) - before
    if content_of(client, answer) != content:
        raise BenchmarkError("another answer")
    return taken, used


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cached", description=__doc__)
    parser.add_argument("--changesets", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = measure(Path(name), options.changesets, options.rounds)
    for row in rows:
        print(
            f"{row.encoding:9} {row.content_mib:6.1f} MiB ({row.sent_mib:.1f} sent): "
            f"worker {row.worker_seconds * 1000:6.0f} ms, kept {row.kept_seconds * 1000:5.0f} ms, "
            f"{row.ratio:5.1f} times sooner; processor {row.worker_cpu_seconds * 1000:6.0f} ms, "
            f"{row.kept_cpu_seconds * 1000:5.0f} ms, {row.cpu_ratio:5.1f} times less"
        )
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2), "utf-8")


if __name__ == "__main__":
    main()
