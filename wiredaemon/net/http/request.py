"""HTTP requests that are decided from their head and whose bodies are never spooled.

Twisted's own request collects the whole body, to disk if it is large, before any resource sees it.
This one finds its resource when the head is complete; the resource answers at once or receives the
body as it arrives.

Owns what Twisted calls, and how the body and the response wait for each other. The two themselves
are in `request_body` and `response_writer`.

Source: http, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import unquote_to_bytes

from twisted.web.server import Request

from wiredaemon.commands import Peer
from wiredaemon.net.http.known_heads import KnownHead
from wiredaemon.net.http.request_body import BodyInput, BodyState, RequestBody
from wiredaemon.net.http.response_writer import ResponseWriter
from wiredaemon.net.peer import show_address
from wiredaemon.net.twisted_internals import request_line, save_idle_timeout

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.limits import Limits


class HeadReceiver(Protocol):
    """A resource that decides on a request as soon as its head is complete."""

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer, or have the body received."""


class StreamingRequest(Request):
    """One HTTP request."""

    # Else Twisted adds text/html where we say nothing.
    defaultContentType = None
    # Set by the site.
    channel: Any  # KnownHeadChannel; Twisted deletes it behind the response
    site: Any
    limits: ClassVar[Limits]
    reactor: ClassVar[IReactorTime]
    keeps_log: ClassVar[bool]
    body: RequestBody
    response: ResponseWriter
    """Exists from the end of the head on."""
    question: Any = None
    """What a decision about the head depends on, if the site remembers the head; else None."""
    _raw_head: bytes | None = None
    """The bytes of the head, if the site may remember them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Twisted's arguments
        """Begin with an undecided body."""
        super().__init__(*args, **kwargs)
        self.body = RequestBody(self.channel, self.limits, self.reactor)

    # --- called by Twisted -------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """Find the resource: the head is complete and no byte of the body was read."""
        channel = self.channel
        # Twisted's channel hands these over only with the whole body.
        self.method, self.uri, self.clientproto = request_line(channel)
        self.response = ResponseWriter(channel, self.method, self.clientproto)
        self.path = _without_authority(self.uri).partition(b"?")[0]
        # What Twisted's request and its look-up need: no arguments, for forms are not read, and
        # no file for the body.
        self.args: dict[bytes, list[bytes]] = {}
        self.content = None
        self.site = channel.factory
        self.prepath: list[bytes] = []
        self.postpath = unquote_to_bytes(self.path).strip(b"/").split(b"/")
        self.body.declared = length
        self._raw_head = channel.take_head()
        self.resource = self.site.getResourceFor(self)
        self.resource.headers_received(self)

    def begin(self, known: KnownHead) -> None:
        """Begin with a head that was parsed and whose resource was found before."""
        channel = self.channel
        self.method, self.uri, self.clientproto = known.method, known.uri, b"HTTP/1.1"
        self.response = ResponseWriter(channel, known.method, b"HTTP/1.1")
        # A head is remembered for a command, whose path has neither a query nor an authority that
        # anything would still read.
        self.path = self.uri
        self.site = channel.factory
        self.requestHeaders = known.headers
        self.body.declared = known.length
        self.question = known.question
        self.resource = known.resource
        self.resource.headers_received(self)

    def receive_whole(self, data: bytes) -> None:
        """Receive the body, all of which came with a known head."""
        self.response.hold()
        self.body.receive_data(data)
        self._receive_end()

    @property
    def may_be_remembered(self) -> bool:
        """The bytes of the head are certain, and few enough to be remembered."""
        return self._raw_head is not None

    def remember(self, question: object, resource: HeadReceiver) -> None:
        """Let the site remember the head.

        Args:
            question: What the decision about it depends on.
            resource: Would decide the same again, as long as that holds.
        """
        head, headers, length = self._raw_head, self.requestHeaders, self.body.declared
        if head is not None and length and not headers.hasHeader(b"Expect"):
            known = KnownHead(self.method, self.uri, headers, length, resource, question)
            self.site.known_heads.remember(head, known)

    def handleContentChunk(self, data: bytes) -> None:
        """Receive bytes of the body."""
        self.body.receive_data(data)

    def requestReceived(self, *_: object) -> None:
        """Note that the body is complete.

        What is answered to that is held, so that a small response leaves in one write.
        """
        self.response.hold()
        self._receive_end()

    def _receive_end(self) -> None:
        body, response = self.body, self.response
        if body.state is BodyState.DRAINED:
            # Answered already: the request was only waiting for its own end.
            body.receive_end()
            self.finish()
            return
        body.receive_end()
        if response.held is not None:
            response.release()

    def connectionLost(self, reason: Failure) -> None:
        """Stop what works for a client that has gone."""
        self.body.connection_lost()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End the response, which has begun, and the request, whose body is complete."""
        body = self.body
        body.stop()
        if body.idle_timeout is not None:
            # For a body that ended while it was paused, the channel has saved no timeout.
            save_idle_timeout(self.channel, body.idle_timeout)
        self.response.finish()
        if self.keeps_log:
            self.code, self.sentLength = self.response.status, self.response.sent
            self.site.log(self)
        self.finished = 1
        self._cleanup()

    @property
    def is_abandoned(self) -> bool:
        """The client has gone: nobody waits for a response."""
        return self.body.state is BodyState.LOST

    # --- the head ----------------------------------------------------------------------------

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, without white space around it."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[0].strip() if values else None

    @property
    def content_length(self) -> int | None:
        """The size of the body in bytes; None for a chunked one."""
        return self.body.declared

    def peer(self) -> Peer:
        """Return who asks."""
        channel = self.channel
        if channel.peer is None:
            address = show_address(channel.getPeer())
            channel.peer = Peer(address=address, is_secure=bool(channel.isSecure()))
        peer: Peer = channel.peer
        return peer

    # --- the response ------------------------------------------------------------------------

    def answer(self, response: HttpResponse) -> None:
        """Write a fixed response now; the request is finished when the body has ended.

        A body that may be long is not waited for: the response then says that the connection
        closes. Of several answers the first counts.
        """
        if self.is_abandoned or self.response.is_begun:
            return
        closes = self._body_may_be_long()
        # A response written now takes the place of "100 Continue".
        self.requestHeaders.removeHeader(b"Expect")
        self.response.write_fixed(response, closes=closes)
        self._end()

    def end_stream(self) -> None:
        """End the response, behind the rest of the request's body if that is still arriving."""
        if not self.is_abandoned:
            self._end()

    def _end(self) -> None:
        """Finish, or drain the rest of the body first."""
        body = self.body
        body.advance(BodyInput.ANSWER)
        if body.state is BodyState.COMPLETE:
            self.finish()
        else:
            # The response is complete, whatever becomes of the rest of the body.
            self.response.end_body()
            body.drain()

    def _body_may_be_long(self) -> bool:
        """Return whether what is left of the body is not worth waiting for.

        A client that asked for the connection to be closed needs no header to tell it (observed).
        """
        body = self.body
        if body.is_complete or body.declared == 0:
            return False
        # Nobody knows how long a chunked body is; a client that expects "100 Continue" and gets
        # another answer may send its body all the same, or not.
        if body.declared is None or self.requestHeaders.hasHeader(b"Expect"):
            return True
        return body.declared - body.received > self.limits.drained_body


def _without_authority(target: bytes) -> bytes:
    """Return the path and query of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith((b"http://", b"https://")):
        return target
    _, _, rest = target.partition(b"://")
    _, slash, path = rest.partition(b"/")
    return slash + path
