"""A port of a service: where it is, and stopping it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IProtocolNegotiationFactory, IReadDescriptor
from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from wiredaemon.net.guard.draining import Draining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory

    from wiredaemon.net.guard.guard import ConnectionGuard, Guarded

DRAIN_SECONDS: Final = 10.0
"""Seconds that answers have when a port or a service is stopped, where nobody says how many."""


@implementer(IProtocolNegotiationFactory)
class OwnConnections(ServerFactory):
    """A factory in front of another one, which knows those connections that it has made.

    Args:
        factory: Makes the protocols, which the guard counts.
        guard: Knows which of them are open.
        protocols: The names for ALPN, the preferred one first.
    """

    # Twisted would log the start and the stop of each listener.
    noisy = False

    def __init__(
        self, factory: IProtocolFactory, guard: ConnectionGuard, protocols: Sequence[bytes]
    ) -> None:
        self._factory = factory
        self._guard = guard
        self._protocols = list(protocols)
        self._made: WeakSet[Any] = WeakSet()

    def startFactory(self) -> None:
        """Start the present factory."""
        self._factory.doStart()

    def stopFactory(self) -> None:
        """Stop it."""
        self._factory.doStop()

    def acceptableProtocols(self) -> list[bytes]:
        """Return the names for ALPN; without any, Twisted fails clients that offer some."""
        return self._protocols

    # Twisted declares less than its ports take.
    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        """Return the protocol of a new connection; None refuses it."""
        protocol = self._factory.buildProtocol(addr)
        if protocol is not None:
            self._made.add(protocol)
        return protocol

    def connections(self) -> list[Guarded]:
        """Return the connections that are open."""
        return [one for one in self._guard.connections() if one in self._made]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.connections())


class Listener:
    """A port that listens.

    Attributes:
        address: Where, as an ``IAddress`` of Twisted.
    """

    def __init__(
        self,
        port: IListeningPort,
        connections: OwnConnections,
        *,
        scheme: str,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    ) -> None:
        self._port: Any = port
        self._connections = connections
        self._scheme = scheme
        self._reactor = reactor
        self.address: Any = port.getHost()
        self.is_stopped = False

    @property
    def url(self) -> str:
        """The URL for `wiredaemon.client`.

        It has none for HTTP or TLS on a Unix socket, which are named as in logs.
        """
        if isinstance(self.address, UNIXAddress):
            scheme = "unix" if self._scheme == "hgrpc" else f"{self._scheme}+unix"
            # Clients need the absolute one, wherever they are started.
            return f"{scheme}:{Path(os.fsdecode(self.address.name or b'')).absolute()}"
        host = self.address.host
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self.address.port}/"

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Close the port, let requests end, and close the connections; done when all are closed.

        Args:
            seconds: The time that answers have; connections that are left then are aborted.
        """
        await self.close()
        await Draining(self._connections, self._reactor, seconds).begin()

    async def close(self) -> None:
        """Close the port; connections stay open."""
        if self.is_stopped:
            return
        self.is_stopped = True
        if IReadDescriptor.providedBy(self._port):
            # Connections that wait to be accepted: the system would reset them.
            self._port.doRead()
        await maybeDeferred(self._port.stopListening)
