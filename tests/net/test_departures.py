"""Peers that leave while nothing is read from them, on real sockets of every transport."""

from __future__ import annotations

import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.hgweb import UNBUNDLE, RepositoryHost, Workers
from support.peers import request_frames
from support.raw_http import RawConnection, trusting
from support.responding import ensure_deferred
from support.serving import listening, write_certificate
from support.web import FakeHost, apis_speaking, ask
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from wiredaemon.commands import Command, Permission
from wiredaemon.net.departures import (
    CHECK_SECONDS,
    Departures,
    never_half_closed,
    nothing_missing,
)
from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application
from wiredaemon.net.site.site import make_site
from wiredaemon.net.tls import over_tls, server_options
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from twisted.internet.interfaces import IProtocolFactory

DATA: Final = 48 * 1024
"""Bytes that the system holds until they are read; more than `LIMITS` let a command wait for."""
LIMITS: Final = Limits(buffered_data=1024, push_early=1024)
ON_RESET: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which a close resets the connection."""


class Waiting:
    """Something that waits for ever, and whether anybody still waits for it."""

    def __init__(self) -> None:
        self.begun: Deferred[None] = Deferred()
        self.cancelled: Deferred[None] = Deferred()

    async def wait(self, *_: object, **__: object) -> Any:
        """Stand for a command, or for the pool where no worker is free."""
        self.begun.callback(None)
        await Deferred[None](lambda _: self.cancelled.callback(None))


class BusyWorkers(Workers):
    """Workers none of which is ever free."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self.open = waiting.wait  # type: ignore[method-assign]


def factory_of(kind: str, waiting: Waiting) -> IProtocolFactory:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    guard = ConnectionGuard(anywhere, LIMITS)
    if kind.startswith("http"):
        application = Application(
            apis=apis_speaking(()), limits=LIMITS, reactor=anywhere, guard=guard
        )
        hosts = HostLookup({"/": RepositoryHost(BusyWorkers(waiting))})
        return make_site(application, hosts)
    command = Command(name="waits", permission=Permission.RO, function=waiting.wait, has_data=True)
    hosts = HostLookup({"/": FakeHost([command])})
    return FramedFactory(hosts, DIALECTS["0006"], reactor=anywhere, limits=LIMITS, guard=guard)


@asynccontextmanager
async def asked(kind: str, waiting: Waiting, folder: Path) -> AsyncIterator[RawConnection]:
    """Connect, and ask for something that waits, with more data than is read meanwhile."""
    factory, context = factory_of(kind, waiting), None
    if kind.endswith("s"):
        write_certificate(folder, "127.0.0.1")
        factory = over_tls(factory, server_options(folder / "cert.pem", folder / "key.pem", ()))
        context = trusting(folder / "ca.pem")
    if kind.startswith("http"):
        request = ask("POST", UNBUNDLE, {"Content-Length": str(2 * DATA)}) + bytes(DATA)
    else:
        frames = request_frames("0006", 1, b"waits", data=bytes(2 * DATA))
        request = b"".join(frames)[:DATA]
    async with listening(factory) as port:
        client = await deferToThread(RawConnection, port, tls=context)
        try:
            await deferToThread(client.send, request)
            await waiting.begun
            yield client
        finally:
            client.close()


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
@ensure_deferred
async def test_a_peer_that_closes_is_noticed_while_it_is_paused(kind: str, tmp_path: Path) -> None:
    waiting = Waiting()
    async with asked(kind, waiting, tmp_path) as client:
        client.close()
        await waiting.cancelled


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_broken_connection_is_noticed_while_it_is_paused(kind: str, tmp_path: Path) -> None:
    waiting = Waiting()
    async with asked(kind, waiting, tmp_path) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ON_RESET)
        client.close()
        await waiting.cancelled


class PausedTransport:
    """A transport with a socket, which notes that it was aborted."""

    def __init__(self, ours: socket.socket) -> None:
        self.fileno = ours.fileno
        self.aborted = 0

    def abortConnection(self) -> None:
        self.aborted += 1


@pytest.mark.parametrize("may_half_close", [True, False])
def test_who_may_half_close_has_not_left_by_it(*, may_half_close: bool) -> None:
    clock = Clock()
    departures = Departures(clock)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = PausedTransport(ours)
        departures.watch(
            transport, missing=nothing_missing if may_half_close else never_half_closed
        )
        clock.advance(CHECK_SECONDS)
        assert transport.aborted == 0
        theirs.sendall(b"not read")
        theirs.shutdown(socket.SHUT_WR)
        clock.advance(CHECK_SECONDS)
        assert transport.aborted == (0 if may_half_close else 1)
        theirs.close()
        clock.advance(CHECK_SECONDS)
        assert transport.aborted == 1
    assert not clock.getDelayedCalls()


def test_a_transport_that_is_read_again_is_not_watched() -> None:
    clock = Clock()
    departures = Departures(clock)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = PausedTransport(ours)
        departures.watch(transport, missing=never_half_closed)
        departures.watch(transport, missing=never_half_closed)
        departures.forget(transport)
        departures.forget(transport)
        theirs.close()
        clock.advance(CHECK_SECONDS)
        assert transport.aborted == 0
