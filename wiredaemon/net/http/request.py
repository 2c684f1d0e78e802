"""HTTP requests that are decided from their head and whose bodies are never spooled.

Twisted's own request collects the whole body, to disk if it is large, before any resource sees it.
This one finds its resource when the head is complete; the resource answers at once or receives the
body as it arrives.

Owns the methods that Twisted calls, and the order of the end of the body and the end of the
response. Body and response themselves are in `request_body` and `response_writer`.

Source: http, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol
from urllib.parse import unquote_to_bytes

from twisted.web.server import Request

from wiredaemon.commands import Peer
from wiredaemon.net.http.forwarded_clients import count_forwarded
from wiredaemon.net.http.known_heads import KnownHead
from wiredaemon.net.http.request_body import BodyInput, BodyState, RequestBody
from wiredaemon.net.http.response_writer import ResponseWriter
from wiredaemon.net.http.responses import bad_request
from wiredaemon.net.http.strict_heads import fault_of_hosts
from wiredaemon.net.peer import show_address
from wiredaemon.net.twisted_internals import request_line
from wiredaemon.net.write_now import write_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from wiredaemon.accounts.credentials import Password, Token
    from wiredaemon.net.hosting.repository_handle import RepositoryHandle
    from wiredaemon.net.http.identification import Identification
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.limits import Limits


_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_LIMITED: Final = frozenset({_TOO_LARGE, 429, 503})
"""Statuses of responses that may name a limit, at the end of their text."""
_FAILURES: Final = frozenset({400, _TIMEOUT, _TOO_LARGE})
"""Statuses of requests that were wrong in themselves, whoever sends them."""


class HeadReceiver(Protocol):
    """A resource that decides on a request as soon as its head is complete."""

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer the request, or claim its body."""


class StreamingRequest(Request):
    """One HTTP request, decided from its head, with a body and a response of their own classes."""

    # Otherwise Twisted adds text/html to responses without a type.
    defaultContentType = None
    # Set by the site.
    channel: Any  # KnownHeadChannel; Twisted deletes it after the response
    site: Any
    limits: ClassVar[Limits]
    reactor: ClassVar[IReactorTime]
    keeps_log: ClassVar[bool]
    identification: ClassVar[Identification | None] = None
    """Finds out who sends a request; None where nobody can log in."""
    body: RequestBody
    response: ResponseWriter
    """Exists from the end of the head on."""
    credentials: Password | Token | None = None
    """The password or token in the head, where logins are known."""
    _peer: Peer | None = None
    """The sender of this request; None if it is the client of the connection, not logged in."""
    question: Any = None
    """The parts of a remembered head that a decision depends on; None if the head is new."""
    shows: Callable[[HttpResponse], HttpResponse] | None = None
    """Gives fixed responses the form that clients of the resource read; None where they have it."""
    repository: RepositoryHandle | None = None
    """Holds the answer of a worker, where it goes to the client as it is."""
    _raw_head: bytes | None = None
    """The bytes of the head, if the site may remember them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Twisted's arguments
        """Begin with an undecided body."""
        super().__init__(*args, **kwargs)
        self.body = RequestBody(self.channel, self.limits, self.reactor)

    # --- called by Twisted -------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """Find the resource: the head is complete, and no byte of the body was read.

        Twisted tells the length so that a request can choose where to spool its body; it is the
        only call at this moment.
        """
        channel = self.channel
        channel.begin_request()
        # Twisted's channel sets these only when the whole body has arrived.
        self.method, self.uri, self.clientproto = request_line(channel)
        self.response = ResponseWriter(channel, self.method, self.clientproto)
        self.path, names = path_of(self.uri)
        # Attributes that Twisted's request and resource look-up expect: no arguments, because forms
        # are not parsed, and no file for the body.
        self.args: dict[bytes, list[bytes]] = {}
        self.content = None
        self.site = channel.factory
        self.prepath: list[bytes] = []
        self.postpath = names
        self.body.declared = length
        self._raw_head = channel.take_head()
        self.resource = self.site.getResourceFor(self)
        hosts = self.requestHeaders.getRawHeaders(b"Host", ())
        fault = fault_of_hosts(hosts, self.clientproto)
        if fault is not None:
            channel.end_behind_request()
            self.answer(bad_request(fault))
            return
        if self.identification is None:
            self.resource.headers_received(self)
        else:
            self.identification.begin(self)
        if self.body.state is BodyState.UNDECIDED:
            self._hold_continue()

    def _hold_continue(self) -> None:
        """Send "100 Continue" only when the body is wanted: nobody has decided on it yet.

        Twisted would send it as soon as `gotLength` returns.
        """
        expected = self.header(b"Expect")
        if expected is None:
            return
        self.requestHeaders.removeHeader(b"Expect")
        if expected.lower() == b"100-continue" and self.clientproto == b"HTTP/1.1":
            self.body.ask_client = self._ask_for_body

    def _ask_for_body(self) -> None:
        write_now(self.channel.transport, [_CONTINUE])

    def begin(self, known: KnownHead) -> None:
        """Begin with a head that was parsed and whose resource was found before."""
        channel = self.channel
        channel.begin_request()
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
        if self.identification is None:
            self.resource.headers_received(self)
        else:
            self.credentials = known.credentials
            self.identification.begin(self)

    def receive_whole(self, data: bytes) -> None:
        """Receive the body, all of which came with a known head."""
        self.response.hold()
        self.body.receive_data(data)
        self._receive_end()

    @property
    def may_be_remembered(self) -> bool:
        """Whether the bytes of the head are certain, and few enough to be remembered."""
        return self._raw_head is not None

    def forget_head(self) -> None:
        """Let the head not be remembered."""
        self._raw_head = None

    def remember(self, question: object, resource: HeadReceiver) -> None:
        """Let the site remember the head.

        Args:
            question: The parts of the head that the decision depends on.
            resource: Decides on later requests with this head.
        """
        head, headers, length = self._raw_head, self.requestHeaders, self.body.declared
        # Not with Expect: Twisted writes "100 Continue" where a known head is not parsed again.
        expects = self.body.ask_client is not None or headers.hasHeader(b"Expect")
        if head is not None and length and not expects:
            known = KnownHead(
                self.method, self.uri, headers, length, resource, question, self.credentials
            )
            self.site.known_heads.remember(head, known)

    def handleContentChunk(self, data: bytes) -> None:
        """Receive bytes of the body."""
        self.body.receive_data(data)

    def requestReceived(self, *_: object) -> None:
        """Note that the body is complete.

        The response is held meanwhile, so that a small one leaves in one write.
        """
        self.response.hold()
        self._receive_end()

    def _receive_end(self) -> None:
        body, response = self.body, self.response
        if body.state is BodyState.DRAINED:
            # The response is complete: only the end of the body was missing.
            body.receive_end()
            self.finish()
            return
        body.receive_end()
        if response.held is not None:
            # Only what was not finished meanwhile: a response that is complete has left already.
            response.release()

    def connectionLost(self, reason: Failure) -> None:
        """Cancel the work for a client that has gone."""
        if self.body.state is not BodyState.DRAINED:
            # Not if only the rest of the body was missing.
            self.channel.request_failed()
        self.body.connection_lost()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End the response, which has begun, and the request, whose body is complete."""
        body = self.body
        body.stop()
        self.response.finish()
        if self.keeps_log:
            self.code, self.sentLength = self.response.status, self.response.sent
            self.site.log(self)
        # The rest of Twisted's own `finish`, which would write the response once more.
        self.finished = 1
        self._cleanup()

    @property
    def is_abandoned(self) -> bool:
        """Whether the client has gone, so that no response is needed."""
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
        """Return the client; without logins it is described once for each connection."""
        if self._peer is not None:
            return self._peer
        channel = self.channel
        if channel.peer is None:
            address = show_address(channel.getPeer())
            channel.peer = Peer(address=address, is_secure=bool(channel.isSecure()))
        peer: Peer = channel.peer
        return peer

    def set_peer(self, peer: Peer) -> None:
        """Learn who sends this request; one too many of a proxy's client is refused then."""
        is_first, self._peer = self._peer is None, peer
        client = self.channel.client
        if is_first and client is not None and client.is_proxy:
            count_forwarded(self, peer)

    # --- the response ------------------------------------------------------------------------

    def answer(self, response: HttpResponse) -> None:
        """Write a fixed response now; the request is finished when the body has ended.

        The rest of a body that may be long is not read: the response then announces that the
        connection closes. Of several answers the first counts.
        """
        if self.is_abandoned or self.response.is_begun:
            return
        if response.login_helps and self.identification is not None:
            response = self.identification.challenged(response, self.peer())
        channel = self.channel
        may_go_on = response.status not in _FAILURES or channel.request_failed()
        closes = (
            channel.is_last_request
            or not may_go_on
            or response.status == _TIMEOUT
            or self._body_may_be_long()
        )
        if response.status in _LIMITED:
            shown = response.body.decode("ascii", "replace").strip()
            self.site.guard.hits.hit_in(shown, self.limits, self.peer().address)
        if self.shows is not None:
            response = self.shows(response)
        # A response written now takes the place of "100 Continue".
        self.requestHeaders.removeHeader(b"Expect")
        self.response.write_fixed(response, closes=closes)
        self._end()

    def end_stream(self) -> None:
        """End the response, after the rest of the request's body if that is still arriving."""
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
        """Return whether the rest of the body may be too long to drain.

        A client that asked for the connection to be closed needs no header that says so (observed).
        """
        body = self.body
        if body.is_complete or body.declared == 0:
            return False
        # Nobody knows how long a chunked body is; a client that expects "100 Continue" and gets
        # another answer may send its body all the same, or not.
        expects = body.ask_client is not None or self.requestHeaders.hasHeader(b"Expect")
        if body.declared is None or expects:
            return True
        return body.declared - body.received > self.limits.drained_body


def path_of(target: bytes) -> tuple[bytes, list[bytes]]:
    """Return the path of a request target, and its components, percent-decoded.

    A target may be a whole URL (RFC 9112, 3.2.2).
    """
    if target.startswith((b"http://", b"https://")):
        _, slash, rest = target.partition(b"://")[2].partition(b"/")
        target = slash + rest
    path = target.partition(b"?")[0]
    return path, unquote_to_bytes(path).strip(b"/").split(b"/")
