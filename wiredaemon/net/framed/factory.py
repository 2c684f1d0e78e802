"""Makes the protocols of a raw listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import ServerFactory

from wiredaemon.net.departures import Departures
from wiredaemon.net.framed.protocol import FramedServerProtocol
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from wiredaemon.net.guard.guard import ConnectionGuard
    from wiredaemon.net.hosting.host_lookup import HostLookup
    from wiredaemon.net.logins import Logins
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits


class FramedFactory(ServerFactory):
    """Makes the protocols of a raw listener.

    Args:
        hosts: Finds the host at a path.
        dialect: The dialect of connections where TLS negotiates no other one.
        reactor: Provides delayed calls and threads.
        limits: Bounds what a peer may make the server hold.
        logins: Logs peers in; None where nobody can log in.
        guard: Counts the connections, and ends those that wait too long.
    """

    # Twisted would log the start and the stop of each listener.
    noisy = False

    def __init__(  # noqa: PLR0913 all that connections need
        self,
        hosts: HostLookup,
        dialect: Dialect,
        *,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        limits: Limits,
        logins: Logins | None = None,
        guard: ConnectionGuard,
    ) -> None:
        self.guard = guard
        self.hosts = hosts
        self.dialect = dialect
        self.reactor = reactor
        self.limits = limits
        self.logins = logins
        self.departures = Departures(reactor)

    def buildProtocol(self, addr: IAddress | None) -> FramedServerProtocol:  # noqa: ARG002 Twisted's signature
        """Return the protocol of a new connection."""
        return FramedServerProtocol(self)

    @property
    def media_types(self) -> list[bytes]:
        """The names for ALPN: the media types of all dialects, the listener's own first."""
        others = [dialect for dialect in DIALECTS.values() if dialect is not self.dialect]
        return [dialect.media_type for dialect in (self.dialect, *others)]

    def dialect_of(self, transport: Any) -> Dialect:  # noqa: ANN401 zope interfaces do not intersect
        """Return the dialect of a connection whose TLS handshake, if any, is done."""
        chosen = getattr(transport, "negotiatedProtocol", None)
        return next((one for one in DIALECTS.values() if one.media_type == chosen), self.dialect)
