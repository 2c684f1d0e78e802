"""Twisted's HTTP/1.1 channel with a cache of parsed request heads.

A head that the site knows is not parsed again: its request goes from the bytes to its resource by a
shorter way, in `KnownHeadChannel.dataReceived`. Everything else is Twisted's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import HTTPChannel

from wiredaemon.net.http.known_heads import LONGEST
from wiredaemon.net.read_size import follow_read
from wiredaemon.net.twisted_internals import (
    is_between_requests,
    receive_parsed_request,
    target_of,
)
from wiredaemon.net.write_now import send_at_once

if TYPE_CHECKING:
    from wiredaemon.commands import Peer

_END: Final = b"\r\n\r\n"


class KnownHeadChannel(HTTPChannel):
    """One HTTP connection."""

    requests: Any
    """Those that are not answered, `StreamingRequest` each."""
    requestFactory: Any
    site: Any
    transport: Any
    peer: Peer | None = None
    """The client, once a request wanted to know."""
    _addresses: tuple[Any, Any] | None = None
    _head: bytes | None = None
    """The head of the request that is parsed next, if it may be remembered."""

    def connectionMade(self) -> None:
        """Send small responses at once."""
        send_at_once(self.transport)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Receive bytes; a head that is known goes a shorter way."""
        follow_read(self.transport, len(data))
        # What was kept of an earlier read belongs to no head that follows.
        self._head = None
        while is_between_requests(self):
            end = data.find(_END) + len(_END)
            if not len(_END) <= end <= LONGEST:
                break
            head = data[:end]
            # By all of its bytes: heads that differ in nothing but a header's case are two.
            known = self.site.known_heads.find(head)
            if known is None:
                self._head = head
                break
            data = receive_parsed_request(self, known, data[end:])
            if not data:
                return
        super().dataReceived(data)

    @property
    def totalHeadersSize(self) -> int:  # type: ignore[override]
        """Bytes that a head may have; version 1 puts arguments there. Read for each line."""
        limits = self.site.limits
        is_version1 = b"cmd=" in target_of(self).partition(b"?")[2]
        size: int = limits.version1_head if is_version1 else limits.head
        return size

    def getPeer(self) -> Any:  # noqa: ANN401 Twisted's own is not annotated
        """Return the client's address, which each request asks for: system calls, made once."""
        if self._addresses is None:
            self._addresses = (super().getPeer(), super().getHost())
        return self._addresses[0]

    def getHost(self) -> Any:  # noqa: ANN401 the same
        """Return our address."""
        if self._addresses is None:
            self.getPeer()
        return self._addresses[1] if self._addresses is not None else None

    def take_head(self) -> bytes | None:
        """Return the bytes of the head that was just parsed, to its own request and no other.

        None where they are not known: it came in pieces, or behind another request in one read.
        What is remembered for one head must never be what another one led to.
        """
        head, self._head = self._head, None
        return head if self.persistent else None
