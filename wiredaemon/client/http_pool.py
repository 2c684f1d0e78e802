"""Twisted's HTTP connection pool with three fixes: early responses, abort, no reuse after close().

A response that begins while the request is still being sent is returned at once. Twisted's own
pool holds it, with the connection paused, until the request was sent: with a command that answers
its data while it arrives, neither side could go on.

A reader that wants no more of a response aborts the connection. Twisted's own pool closes it in an
orderly way, and over TLS waits for the server to do the same, however much that has still to send.

A pool that was closed keeps no connection. Twisted's own keeps those whose responses are read to
their end after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wiredaemon.net.twisted_internals import (
    ClosablePool,
    HTTP11ClientProtocol,
    abort_for_loss,
    response_while_sending,
)

if TYPE_CHECKING:
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse


class _PooledProtocol(HTTP11ClientProtocol):
    """One connection, which returns a response when its head is complete."""

    transport: Any

    def request(self, request: Any) -> Deferred[IResponse]:  # noqa: ANN401 Twisted's has no public name
        """Send a request; a response that breaks off later is its body's failure."""
        finished = super().request(request)
        early: Deferred[IResponse] = Deferred(lambda _: finished.cancel())

        def arrived(response: IResponse) -> IResponse:
            if not early.called:
                early.callback(response)
            return response

        def failed(failure: Failure) -> None:
            if not early.called:
                early.errback(failure)

        # Behind the request, which makes the proxy.
        abort_for_loss(self)
        sending = response_while_sending(self)
        if sending is not None:
            sending.addCallbacks(arrived, failed)
        finished.addCallbacks(arrived, failed)
        return early


class HttpPool(ClosablePool):
    """Keeps connections to one server, and makes them as `_PooledProtocol`."""

    connection_class = _PooledProtocol
