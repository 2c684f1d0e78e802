"""Clients that close their sending side behind a request, on real sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.hgweb import UNBUNDLE, RepositoryHost, Workers
from support.raw_http import RawConnection
from support.responding import ensure_deferred
from support.serving import listening
from support.web import apis_speaking, ask
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from wiredaemon.net.departures import CHECK_SECONDS, Departures
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application
from wiredaemon.net.site.site import make_site
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wiredaemon.net.workers.worker_stream import WorkerStream

BODY: Final = 48 * 1024
"""Bytes that the system holds until they are read."""
LIMITS: Final = Limits(push_early=1024)
LOG: Final = ask("GET", "/log")


class SlowWorkers(Workers):
    """Workers of which none is free until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.are_busy = True
        self.begun: Deferred[None] = Deferred()
        self.left: Deferred[None] = Deferred()

    async def open(self, *arguments: Any, **more: Any) -> WorkerStream:
        opening = Deferred.fromCoroutine(super().open(*arguments, **more))
        if not self.begun.called:
            self.begun.callback(None)
        try:
            return await opening
        except BaseException:
            self.left.callback(None)
            raise

    def go_on(self, answer: bytes) -> None:
        """Answer what waits, as soon as its body has come."""
        self.waiting.pop(0).callback(None)
        self.last.answer(answer)


@asynccontextmanager
async def serving(clock: Any = None) -> AsyncIterator[tuple[SlowWorkers, int]]:
    """Serve a repository.

    Args:
        clock: When it is looked whether clients have left; None for the reactor's.
    """
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    workers = SlowWorkers()
    application = Application(
        apis=apis_speaking(()),
        limits=LIMITS,
        reactor=anywhere,
        guard=ConnectionGuard(anywhere, LIMITS),
    )
    site = make_site(application, HostLookup({"/": RepositoryHost(workers)}))
    if clock is not None:
        site.departures = Departures(clock)
    async with listening(site) as port:
        yield workers, port


@asynccontextmanager
async def asked(port: int, request: bytes) -> AsyncIterator[RawConnection]:
    client = await deferToThread(RawConnection, port)
    try:
        await deferToThread(client.send, request)
        client.end_input()
        yield client
    finally:
        client.close()


def push(size: int, *, sent: int) -> bytes:
    return ask("POST", UNBUNDLE, {"Content-Length": str(size)}) + bytes(sent)


@pytest.mark.parametrize(
    "request_",
    [LOG, LOG.replace(b"HTTP/1.1", b"HTTP/1.0"), push(100, sent=100), push(BODY, sent=BODY)],
    ids=["page", "HTTP/1.0", "small push", "push that is not read yet"],
)
@ensure_deferred
async def test_a_whole_request_is_answered(request_: bytes) -> None:
    clock = Clock()
    async with serving(clock) as (workers, port), asked(port, request_) as client:
        await workers.begun
        for _ in range(3):
            clock.advance(CHECK_SECONDS)
        assert not workers.left.called
        workers.go_on(b"an answer")
        answer = await deferToThread(client.receive_response)
        assert answer.body == b"an answer"
        assert await deferToThread(client.socket.recv, 1) == b""


@ensure_deferred
async def test_all_of_several_requests_are_answered() -> None:
    async with serving() as (workers, port), asked(port, LOG + LOG) as client:
        await workers.begun
        workers.go_on(b"first")
        assert (await deferToThread(client.receive_response)).body == b"first"
        workers.go_on(b"second")
        assert (await deferToThread(client.receive_response)).body == b"second"
        assert await deferToThread(client.socket.recv, 1) == b""


@pytest.mark.parametrize("request_", [push(100, sent=99), push(2 * BODY, sent=BODY)])
@ensure_deferred
async def test_half_a_request_is_none(request_: bytes) -> None:
    async with serving() as (workers, port), asked(port, request_) as client:
        with pytest.raises((ConnectionResetError, EOFError)):
            await deferToThread(client.receive_response)
        assert workers.exchanges == []


@pytest.mark.parametrize("request_", [LOG, push(BODY, sent=BODY)], ids=["page", "push"])
@ensure_deferred
async def test_a_client_that_has_gone_is_noticed_all_the_same(request_: bytes) -> None:
    async with serving() as (workers, port), asked(port, request_) as client:
        await workers.begun
        client.close()
        await workers.left
