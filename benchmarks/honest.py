"""Honest clients beside an attack: each asks again and again, and its waits are measured."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.attack_rows import http_head
from benchmarks.daemon import Control
from benchmarks.errors import BenchmarkError
from benchmarks.frames import Chunks, whole_request
from benchmarks.load import connect, receive

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from benchmarks.daemon import Daemon

    Client: TypeAlias = tuple[Callable[[], None], Callable[[], None]]
    """Two functions: one asks and waits for the answer, the other closes the connection."""

FROM: Final = b"198.51.100.7"
"""The address of the honest client that asks a repository; no attack comes from there."""
_WARM: Final = 100
_REST: Final = 5.0
_PAUSE: Final = 0.02
_PERCENT: Final = 99
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass(slots=True, kw_only=True)
class Honest:
    """The waits of one kind of honest client in seconds, and what went wrong for it."""

    name: str
    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The wait that 99 of 100 answers did not exceed."""
        waits = sorted(self.waits) or [0.0]
        return waits[min(len(waits) - 1, len(waits) * _PERCENT // 100)]

    @property
    def worst(self) -> float:
        """The longest wait."""
        return max(self.waits, default=0.0)


@contextlib.contextmanager
def asking(daemon: Daemon, *, has_repository: bool) -> Iterator[Sequence[Honest]]:
    """Let honest clients ask during the block, once what the daemon keeps for them is there."""
    makers = [_raw, _http, _heads] if has_repository else [_raw, _http]
    for make in makers:
        ask, close = make(daemon)
        for _ in range(_WARM):
            ask()
        close()
    # So that it has given back what it can: it looks every two seconds.
    time.sleep(_REST)
    daemon.settle()
    stop = threading.Event()
    all_of_them = [Honest(name=make.__name__.strip("_")) for make in makers]
    threads = [
        threading.Thread(target=_ask, args=(make(daemon), honest, stop))
        for make, honest in zip(makers, all_of_them, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield all_of_them
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(client: Client, honest: Honest, stop: threading.Event) -> None:
    """Ask until it is time to stop."""
    ask, close = client
    while not stop.is_set():
        began = time.perf_counter()
        try:
            ask()
        except (BenchmarkError, OSError) as error:
            honest.failures.append(f"{honest.name}: {error}")
            break
        honest.waits.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    with contextlib.suppress(OSError):
        close()


def _raw(daemon: Daemon) -> Client:
    connection = daemon.connect("framed", "0003")
    control = Control(connection)

    def ask() -> None:
        if control.ask(b"echo", {b"data": b"honest"}) != b"honest":
            raise BenchmarkError("a wrong answer")

    return ask, connection.close


def _http(daemon: Daemon) -> Client:
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


def _heads(daemon: Daemon) -> Client:
    """Ask for the heads of the repository over version 1, from an address of its own."""
    connection = connect(daemon.proxied_port)
    connection.sendall(b"PROXY TCP4 %s 192.0.2.1 1000 80\r\n" % FROM)

    def ask() -> None:
        connection.sendall(b"GET /?cmd=heads HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while _END not in answer:
            answer += receive(connection)
        head, _, body = answer.partition(_END)
        found = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200") or not found:
            raise BenchmarkError(f"{head.partition(_END[:2])[0].decode('latin-1')} {body!r}")
        while len(body) < int(found):
            body += receive(connection)

    return ask, connection.close
