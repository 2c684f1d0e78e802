"""Twisted's HTTP pool, with three things done sooner.

An answer that begins while the request is still sent is given at once. Twisted's own keeps it, and
its connection paused, until the request was sent: of a command that answers its data while it
comes, neither side could go on.

Who wants no more of an answer loses the connection at once. Twisted's own says farewell first, and
over TLS waits for the server to do so too, however much it has still to send.

A pool that was closed keeps nothing. Twisted's own keeps a connection whose answer is read to its
end only after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool, _HTTP11ClientFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure
    from twisted.web._newclient import Request
    from twisted.web.iweb import IResponse


class _EarlyProtocol(HTTP11ClientProtocol):
    """One connection, whose responses are given when their heads are complete."""

    transport: Any

    def request(self, request: Request) -> Deferred[IResponse]:
        """Send a request; an answer that came and then broke off says so to its body's protocol."""
        finished = super().request(request)
        early: Deferred[IResponse] = Deferred(lambda _: finished.cancel())

        def arrived(response: IResponse) -> IResponse:
            if not early.called:
                early.callback(response)
            return response

        def failed(failure: Failure) -> None:
            if not early.called:
                early.errback(failure)

        if self._transportProxy is not None:
            # All that an answer's protocol has of the connection.
            proxy: Any = self._transportProxy
            proxy.loseConnection = self.transport.abortConnection
        if self.state == "TRANSMITTING" and self._responseDeferred is not None:
            # What `finished` will be given once the request is sent.
            self._responseDeferred.addCallbacks(arrived, failed)
        finished.addCallbacks(arrived, failed)
        return early


class _EarlyFactory(_HTTP11ClientFactory):
    """Makes these connections."""

    def buildProtocol(self, addr: IAddress | None) -> HTTP11ClientProtocol:  # noqa: ARG002 of the interface
        """Make one."""
        return _EarlyProtocol(self._quiescentCallback)


class EarlyPool(HTTPConnectionPool):
    """The pool, with these connections in it."""

    _factory: Any = _EarlyFactory
    _is_closed = False

    def close(self) -> Deferred[None]:
        """Close what is kept, and keep nothing from now on; fires when it is closed."""
        self._is_closed = True
        closed: Deferred[None] = self.closeCachedConnections()
        return closed

    def _putConnection(self, key: object, connection: Any) -> None:  # noqa: ANN401 not annotated there either
        if self._is_closed:
            connection.transport.loseConnection()
        else:
            super()._putConnection(key, connection)
