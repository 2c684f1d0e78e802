"""Twisted's HTTP connection pool with three fixes: early answers, abort, no reuse after close().

An answer that begins while the request is still sent is returned at once. Twisted's own keeps it,
and its connection paused, until the request was sent: with a command that answers its data while it
arrives, neither side could go on.

A reader that wants no more of an answer aborts the connection. Twisted's own says farewell first,
and over TLS waits for the server to do so too, however much it has still to send.

A pool that was closed keeps nothing. Twisted's own keeps a connection whose answer is read to its
end only after that.
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


class _EarlyProtocol(HTTP11ClientProtocol):
    """One connection, whose responses are given when their heads are complete."""

    transport: Any

    def request(self, request: Any) -> Deferred[IResponse]:  # noqa: ANN401 Twisted's has no public name
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

        abort_for_loss(self)
        sending = response_while_sending(self)
        if sending is not None:
            sending.addCallbacks(arrived, failed)
        finished.addCallbacks(arrived, failed)
        return early


class EarlyPool(ClosablePool):
    """The pool, with these connections in it."""

    connection_class = _EarlyProtocol
