"""The HTTP/1.1 channel: Twisted's, which is spared heads that it has parsed before.

A client on a kept connection sends the same head again and again, byte for byte; parsing it and
finding its resource are most of what a small request costs. So the site remembers heads of
requests for commands, with what Twisted's parser and the resource tree made of them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.web.http import HTTPChannel, _IdentityTransferDecoder

from wiredaemon.net.read_size import follow_read

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers

    from wiredaemon.commands import Peer
    from wiredaemon.net.http.request import Decided

_LONGEST: Final = 1024
"""Bytes of a head that is remembered."""
_END: Final = b"\r\n\r\n"


class KnownHead(NamedTuple):
    """What a head says."""

    method: bytes
    uri: bytes
    headers: Headers
    length: int
    resource: Decided
    """Decides on the request; it keeps nothing of a single one."""


class KnownHeads:
    """The heads that a site has seen last, by their bytes."""

    def __init__(self, most: int) -> None:
        """Begin with none, and remember ``most`` of them."""
        self._most = most
        self._heads: OrderedDict[bytes, KnownHead] = OrderedDict()

    def find(self, head: bytes) -> KnownHead | None:
        """Give what is known of a head."""
        return self._heads.get(head)

    def remember(self, head: bytes, known: KnownHead) -> None:
        """Remember a head; the one that was learnt first makes room."""
        self._heads[head] = known
        if len(self._heads) > self._most:
            self._heads.popitem(last=False)


class KeptChannel(HTTPChannel):
    """One HTTP connection."""

    # Its private names are pinned by a test.
    requests: Any
    """Those that are not answered, `StreamingRequest` each."""
    requestFactory: Any
    site: Any
    transport: Any
    peer: Peer | None = None
    """Who asks, once a request wanted to know."""
    _path = b""
    """As the request line said, of the request that came last."""
    _addresses: tuple[Any, Any] | None = None
    _head: bytes | None = None
    """Of the request that is parsed next, if it may be remembered."""

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; a head that is known goes a shorter way."""
        follow_read(self.transport, len(data))
        self._head = None
        while self._is_between_requests():
            end = data.find(_END) + len(_END)
            if not len(_END) <= end <= _LONGEST:
                break
            head = data[:end]
            known = self.site.known_heads.find(head)
            if known is None:
                self._head = head
                break
            self._receive_known(known, data[end:])
            data, self._buffer = self._buffer, b""
            if not data:
                return
        super().dataReceived(data)

    @property
    def totalHeadersSize(self) -> int:  # type: ignore[override]
        """Bytes that a head may have; version 1 puts arguments there. Asked for at each line."""
        limits = self.site.limits
        is_version1 = b"cmd=" in self._path.partition(b"?")[2]
        size: int = limits.version1_head if is_version1 else limits.head
        return size

    def getPeer(self) -> Any:  # noqa: ANN401 Twisted's own is not annotated
        """Give the client's address, which each request asks for."""
        if self._addresses is None:
            self._addresses = (super().getPeer(), super().getHost())
        return self._addresses[0]

    def getHost(self) -> Any:  # noqa: ANN401 the same
        """Give our address."""
        self.getPeer()
        return self._addresses[1] if self._addresses is not None else None

    def take_head(self) -> bytes | None:
        """Give the bytes of the head that was just parsed, to its own request and no other.

        None where they are not known: it came in pieces, or behind another request in one read.
        What is remembered for one head must never be what another one led to.
        """
        head, self._head = self._head, None
        return head if self.persistent else None

    def _is_between_requests(self) -> bool:
        """Say whether the next byte begins a request, and nothing is left to be done before."""
        return bool(
            not self.requests
            and self.line_mode
            and not self._buffer
            and not self._busyReceiving
            and self.persistent
            and not self.transport.disconnecting
            and self._HTTPChannel__first_line == 1
        )

    def _receive_known(self, known: KnownHead, body: bytes) -> None:
        """Do what parsing the head would have done, and go on with the body.

        What comes behind the body is in ``_buffer`` afterwards, if it is for us to look at.
        """
        if len(body) < known.length:
            self.resetTimeout()
        self._busyReceiving = True  # what is left over comes back to our loop
        try:
            request = self.requestFactory(self)
            self.requests.append(request)
            self._HTTPChannel__first_line = 0
            self._command, self._path, self._version = known.method, known.uri, b"HTTP/1.1"
            self.length = known.length
            decoder = _IdentityTransferDecoder(
                known.length, request.handleContentChunk, self._finishRequestBody
            )
            self._transferDecoder = decoder
            self.setRawMode()
            request.begin(known)
            if body:
                decoder.dataReceived(body)
        finally:
            self._busyReceiving = False
