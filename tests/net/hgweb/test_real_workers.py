"""Large answers of real workers over a real socket."""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from http.client import parse_headers
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.hgweb import (
    DONE,
    HEADS,
    KIB,
)
from support.repositories import make_repository, run_hg, write_hgrc
from support.responding import ensure_deferred
from support.serving import listening
from support.web import OPEN, ask
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol

from wiredaemon.commands.registry import Registry
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.access import ApiSwitches
from wiredaemon.net.hosting.host import HostedRepository
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application
from wiredaemon.net.site.site import make_site
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from twisted.python.failure import Failure


LARGE: Final = 30 * 1024 * KIB


class Client(Protocol):
    """Sends at once, collects until the end, and may stop reading after the first bytes."""

    transport: Any

    def __init__(self, request: bytes, *, is_slow: bool = False) -> None:
        self._request = request
        self._is_slow = is_slow
        self._pieces: list[bytes] = []
        self.stalled: Deferred[None] = Deferred()
        self.ended: Deferred[BytesIO] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._is_slow and not self.stalled.called:
            self.transport.pauseProducing()
            self.stalled.callback(None)

    def connectionLost(self, reason: Failure = DONE) -> None:  # noqa: ARG002 Twisted's
        self.ended.callback(BytesIO(b"".join(self._pieces)))


def read_response(sent: BytesIO) -> tuple[bytes, bytes]:
    """Read one response: its status line and its body."""
    status, headers = sent.readline(), parse_headers(sent)
    if headers["Transfer-Encoding"] != "chunked":
        return status, sent.read(int(headers["Content-Length"]))
    body = b""
    while size := int(sent.readline(), 16):
        body += sent.read(size)
        sent.readline()
    sent.readline()
    return status, body


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HGRCPATH", "")
    folder = make_repository(tmp_path / "large")
    (folder / "large").write_bytes(random.Random(7).randbytes(LARGE))  # noqa: S311 no secret
    run_hg("commit", "-A", "-m", "large", "-u", "test", "-d", "0 0", folder=folder)
    return folder


@asynccontextmanager
async def served(repository: Path, **limits: float) -> AsyncIterator[Callable[..., Client]]:
    """Serve a repository with workers of its own; what is given connects a client."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    of_all = Limits(**limits)  # type: ignore[arg-type]
    pool = WorkerPool(anywhere, of_all)
    host = HostedRepository(
        os.fsencode(repository),
        registry=Registry(),
        switches=ApiSwitches(),
        access=OPEN,
        pool=pool,
    )
    application = Application(
        apis=[], limits=of_all, reactor=anywhere, guard=ConnectionGuard(anywhere, of_all)
    )
    pool.start()
    async with listening(make_site(application, HostLookup({"/": host}))) as port:

        def connect(request: bytes, *, is_slow: bool = False) -> Client:
            client = Client(request, is_slow=is_slow)
            factory: Any = ClientFactory()
            factory.buildProtocol = lambda _: client
            anywhere.connectTCP("127.0.0.1", port, factory)
            return client

        yield connect
    await pool.stop()


@ensure_deferred
async def test_a_slow_client_keeps_nobody_waiting_and_gets_all_with_what_is_pipelined_behind(
    large: Path,
) -> None:
    content = (large / "large").read_bytes()
    node = run_hg("log", "-r", "tip", "-T", "{node}", folder=large)
    last = ask("GET", HEADS, {"Connection": "close"})
    async with served(large, worker_processes=3, worker_spool=0) as connect:
        slow = connect(ask("GET", "/raw-file/tip/large") + last, is_slow=True)
        await slow.stalled
        for _ in range(3):
            status, body = read_response(await connect(last).ended)
            assert (status[:13], body) == (b"HTTP/1.1 200 ", node + b"\n")
        assert not slow.ended.called
        slow.transport.resumeProducing()
        sent = await slow.ended
    status, body = read_response(sent)
    assert status == b"HTTP/1.1 200 Script output follows\r\n"
    assert body == content
    assert read_response(sent)[1] == node + b"\n"
    assert sent.read() == b""


@ensure_deferred
async def test_a_client_that_leaves_inside_a_large_answer_leaves_its_worker_to_others(
    large: Path,
) -> None:
    last = ask("GET", "/raw-file/tip/large", {"Connection": "close"})
    async with served(large, worker_processes=1, worker_read_grace=0) as connect:
        for _ in range(2):
            slow = connect(ask("GET", "/raw-file/tip/large"), is_slow=True)
            await slow.stalled
            slow.transport.abortConnection()
            await slow.ended
        _, body = read_response(await connect(last).ended)
    assert body == (large / "large").read_bytes()


@ensure_deferred
async def test_a_costly_search_is_ended_and_its_client_reads_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HGRCPATH", "")
    folder = make_repository(tmp_path / "searched")
    run_hg("debugbuilddag", "+2", folder=folder)
    # A function that takes for ever stands for those that take hours on a large history.
    costly = tmp_path / "costly.py"
    costly.write_text(
        "import time\n"
        "from mercurial import registrar\n"
        "revsetpredicate = registrar.revsetpredicate()\n"
        "@revsetpredicate(b'costly()', safe=True)\n"
        "def costly(repo, subset, x):\n"
        "    return subset.filter(lambda _: time.sleep(1000), cache=False)\n"
    )
    write_hgrc(folder, f"[extensions]\ncostly = {costly}\n")
    async with served(folder, worker_processes=1, read_seconds=0.5) as connect:
        search = connect(ask("GET", "/log?rev=costly()", {"Connection": "close"}))
        status, body = read_response(await search.ended)
        assert status.startswith(b"HTTP/1.1 500 ")
        assert body == b"the command took longer than 0.5 s (read_seconds)\n"
        again = connect(ask("GET", HEADS, {"Connection": "close"}))
        status, _ = read_response(await again.ended)
        assert status.startswith(b"HTTP/1.1 200")
