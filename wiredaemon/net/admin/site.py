"""The site of `[admin]`: metrics and health over plain HTTP, one request on each connection.

Connections are not those of the guard: who watches a daemon must get in when it is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wiredaemon.net.admin.collector import registry_of
from wiredaemon.net.peer import show_address

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall
    from twisted.python.failure import Failure

    from wiredaemon.net.admin.figures import Figures
    from wiredaemon.wire.limits import Limits

_TEXT: Final = "text/plain; charset=utf-8"


class _Root(Resource):
    """Answers every path."""

    isLeaf = True

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._health = figures.health
        self._registry = registry_of(figures)

    def render(self, request: Request) -> bytes:
        """Return the body, or nothing where only the head is asked for."""
        status, kind, body = self._answer(request)
        request.setResponseCode(status)
        request.setHeader("Content-Type", kind)
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Content-Length", str(len(body)))
        return b"" if request.method == b"HEAD" else body

    def _answer(self, request: Request) -> tuple[int, str, bytes]:
        if request.path not in {b"/metrics", b"/health"}:
            return 404, _TEXT, b"here are /metrics and /health\n"
        if request.method not in {b"GET", b"HEAD"}:
            request.setHeader("Allow", "GET, HEAD")
            return 405, _TEXT, b"GET or HEAD\n"
        if request.path == b"/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if self._health.is_stopping:
            return 503, _TEXT, b"stopping\n"
        return 200, _TEXT, b"ok\n"


class _Request(Request):
    """A request whose body nobody reads."""

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 Twisted's signature
        """Keep no room for a body: Twisted would have a file for a large one."""
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Drop a part of the body: Twisted would keep all of it."""


class _Channel(HTTPChannel):
    """One connection, for one request and a bounded time."""

    site: AdminSite
    transport: Any
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin the time."""
        super().connectionMade()
        self.site.open += 1
        self._deadline = self.site.reactor.callLater(self.site.limits.admin_seconds, self._expire)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End it."""
        super().connectionLost(reason)
        self.site.open -= 1
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def checkPersistence(self, request: Any, version: bytes) -> bool:  # noqa: ANN401, ARG002 Twisted's own
        """Close the connection after the answer."""
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def _expire(self) -> None:
        self.site.hit("admin_seconds", self.transport.getPeer())
        self.transport.abortConnection()


class AdminSite(Site):
    """The factory of the connections.

    Args:
        figures: What is counted.
        limits: `admin_connections` and `admin_seconds`.
        reactor: Provides delayed calls.
    """

    # Twisted would log the start and the stop of each listener.
    noisy = False
    protocol: Any = _Channel

    def __init__(self, figures: Figures, limits: Limits, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        arguments: dict[str, Any] = {"reactor": reactor, "requestFactory": _Request}
        super().__init__(_Root(figures), timeout=None, **arguments)
        self.limits = limits
        self.open = 0
        """Connections that are open."""
        self._hits = figures.guard.hits

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ANN401 Twisted's own
        """Return the protocol of a new connection; None closes one too many."""
        if self.open >= self.limits.admin_connections:
            self.hit("admin_connections", addr)
            return None
        return super().buildProtocol(addr)

    def hit(self, name: str, peer: Any) -> None:  # noqa: ANN401 any IAddress
        """Count a limit that a peer has crossed."""
        self._hits.hit(name, getattr(self.limits, name), show_address(peer))

    def log(self, request: Any) -> None:  # noqa: ANN401 Twisted's own
        """Log nothing: a line for each look at the daemon would say nothing."""
