"""Clients that close their sending side after a request, and still read the answer.

The end of the input looks the same where a client has gone. So only what is whole is answered then,
and the connection is probed: the system of a client that has gone says nothing, or that nobody is
there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from wiredaemon.net.http.bounded_heads import BoundedHeadChannel
from wiredaemon.net.http.request_body import BodyState

if TYPE_CHECKING:
    from wiredaemon.net.departures import WatchedInput
    from wiredaemon.net.http.request_body import RequestBody

COMING: Final = frozenset({BodyState.UNDECIDED, BodyState.RECEIVED})
"""The states in which the client owes us the rest of a body."""


@implementer(IHalfCloseableProtocol)
class HalfClosedChannel(BoundedHeadChannel):
    """An HTTP connection whose client may close its sending side, without TLS."""

    input: WatchedInput
    requests: Any
    rest: bytes
    transport: Any

    def readConnectionLost(self) -> None:
        """Answer the request that is whole, and close after it.

        Twisted reads on after an answer, and so calls this again.
        """
        body = getattr(self.requests[-1], "body", None) if self.requests else None
        if not self.requests or (body is not None and body.state is BodyState.DRAINED):
            # The client has all it has asked for, or that it will get.
            self.loseConnection()
        elif self.missing() == 0:
            self.input.end()
        else:
            self.transport.abortConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: our side was closed by ourselves."""

    def missing(self) -> int | None:
        """Return the bytes that the client owes us of a request; None if nobody knows."""
        if not self.requests:
            # Those that wait for their turn may be whole requests.
            return 0 if self.rest else None
        body: RequestBody | None = getattr(self.requests[-1], "body", None)
        if body is None or getattr(self.requests[-1], "response", None) is None:
            return None
        if body.state not in COMING:
            return 0
        if body.declared is None:
            return None
        return max(body.declared - body.received - len(self.rest), 0)
