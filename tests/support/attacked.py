"""A server under attack, in this process: its guard can be asked, its peers are plain sockets.

Peers block, so they run in a thread (`deferToThread`) wherever they wait for the server.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from support.serving import factory_of
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from wiredaemon.net.guard.guard import ConnectionGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from wiredaemon.commands import Command
    from wiredaemon.wire.limits import Limits


class Server:
    """A listener, the guard of its connections, and all sockets of those who attack it."""

    def __init__(self, port: int, guard: ConnectionGuard, certificate: Path | None) -> None:
        self.guard = guard
        self._port = port
        self._certificate = certificate
        self._sockets: list[socket.socket] = []

    def connect(self, first: bytes = b"") -> socket.socket:
        """Open a connection, without TLS, and send bytes."""
        connected = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        self._sockets.append(connected)
        connected.sendall(first)
        return connected

    async def connect_secure(self) -> socket.socket:
        """Open a connection, with TLS if the server has it."""
        plain = self.connect()
        if self._certificate is None:
            return plain
        trusting = ssl.create_default_context(cafile=self._certificate / "ca.pem")
        secure: ssl.SSLSocket = await deferToThread(
            trusting.wrap_socket, plain, server_hostname="localhost"
        )
        self._sockets.append(secure)
        return secure

    async def until(self, count: int) -> None:
        """Wait until the server has so many connections."""
        while len(self.guard) != count:
            await self.turn()

    async def until_hit(self, name: str) -> None:
        """Wait until a peer has crossed a limit."""
        while not self.guard.hits.counts[name]:
            await self.turn()

    async def until_holding(self, size: int) -> None:
        """Wait until peers make the server hold so many bytes, as far as it has counted."""
        while self.guard.memory.size < size:
            await self.turn()

    async def turn(self) -> None:
        """Let the server work for a hundredth of a second."""
        from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

        anywhere: Any = reactor
        await deferLater(anywhere, 0.01)

    def leave(self) -> None:
        """Close all sockets of peers."""
        for each in self._sockets:
            each.close()


@asynccontextmanager
async def attacked(
    kind: str,
    commands: Sequence[Command],
    *,
    certificate: Path | None = None,
    proxied: bool = False,
    limits: Limits,
) -> AsyncIterator[Server]:
    """Serve commands in framing 0006 at one kind of URL.

    Args:
        kind: The scheme of the URL.
        commands: What is served.
        certificate: The folder of `write_certificate`, for the kinds with TLS.
        proxied: Connections begin with a PROXY header.
        limits: The server's.
    """
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    guard = ConnectionGuard(anywhere, limits)
    factory = factory_of(
        kind, commands, framings=["0006"], certificate=certificate, limits=limits, guard=guard
    )
    prefix = "haproxy:" if proxied else ""
    endpoint = serverFromString(anywhere, f"{prefix}tcp:0:interface=127.0.0.1")
    port = await endpoint.listen(factory)
    server = Server(port.getHost().port, guard, certificate)
    try:
        yield server
        server.leave()
        await server.until(0)
    finally:
        server.leave()
        await port.stopListening()


def rest_of(connected: socket.socket) -> bytes:
    """Everything until the end of a connection; one that is reset has ended, too."""
    parts = []
    try:
        while data := connected.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def rests_of(connections: Sequence[socket.socket]) -> list[bytes]:
    """Everything until the end, of each connection."""
    return [rest_of(each) for each in connections]
