"""Refuses a request behind a trusted proxy whose client has too many of them under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.guard.held_memory import RETRY
from wiredaemon.net.http.responses import busy
from wiredaemon.net.peer import host_of

if TYPE_CHECKING:
    from wiredaemon.commands import Peer
    from wiredaemon.net.http.request import StreamingRequest


def count_forwarded(request: StreamingRequest, peer: Peer) -> None:
    """Count a request for the client that its proxy names; one too many gets another resource."""
    if peer.address == request.channel.client.peer.address:
        return  # the proxy's own, or of nobody knows whom
    shown = request.site.guard.forwarded.begin(host_of(peer), request.notifyFinish())
    if shown is not None:
        request.resource = TooMany(shown)
        request.forget_head()


class TooMany:
    """Takes the place of the resource of a request that is refused.

    Args:
        shown: The text for the client.
    """

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def headers_received(self, request: StreamingRequest) -> None:
        """Refuse the request."""
        request.answer(busy(self._shown, RETRY))
