"""HTTP requests that are decided from their head and whose bodies are never spooled.

Twisted's own request collects the whole body, to disk if it is large, before any resource sees it.
This one finds its resource when the head is complete; the resource answers at once or takes the
body as it arrives.

Source: http, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast
from urllib.parse import unquote_to_bytes

from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from wiredaemon import __version__
from wiredaemon.commands import Peer
from wiredaemon.net.peer import show_address
from wiredaemon.wire.frames import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
    from twisted.python.failure import Failure

    from wiredaemon.net.rules import Answer
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.limits import Limits

SERVER: Final = f"wiredaemon/{__version__}".encode()
_CLOSE: Final = (b"Connection", b"close")


class BodyReceiver(Protocol):
    """Takes the body of a request."""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes."""

    def receive_end(self) -> None:
        """Say that the body is complete."""

    def connection_lost(self) -> None:
        """Say that the client has gone."""


class StreamingRequest(Request):
    """One HTTP request."""

    # Else Twisted adds text/html where we say nothing.
    defaultContentType = None
    # Set by the site.
    limits: ClassVar[Limits]
    reactor: ClassVar[IReactorTime]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Twisted's arguments
        """Begin with an undecided body."""
        super().__init__(*args, **kwargs)
        self._receiver: BodyReceiver | None = None
        self._early: list[bytes] = []
        """Body bytes that came while the answer was being decided."""
        self._body_ended = False
        self._answered = False
        """A fixed answer was written; the rest of the body is drained."""
        self._declared: int | None = 0
        self._received = 0
        self._drained = 0
        self._drain_timer: IDelayedCall | None = None
        self._paused = False
        self._idle_timeout: float | None = None
        """What the channel's was before the first pause."""

    # --- called by Twisted -------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """Find the resource: the head is complete and no byte of the body was read."""
        channel = self.channel
        # The channel hands these over only with the whole body; a test pins the names.
        self.method, self.uri, self.clientproto = channel._command, channel._path, channel._version
        self.path = _without_authority(self.uri).partition(b"?")[0]
        self.args: dict[bytes, list[bytes]] = {}
        self.content = None
        self.site = channel.factory
        self.prepath: list[bytes] = []
        self.postpath = unquote_to_bytes(self.path).strip(b"/").split(b"/")
        self._declared = length
        self.site.getResourceFor(self).headers_received(self)

    def handleContentChunk(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._received += len(data)
        if self._answered:
            self._drain(len(data))
        elif self._receiver is not None:
            self._receiver.receive_data(data)
        else:
            self._early.append(data)
            self.pause_input()

    def requestReceived(self, *_: object) -> None:
        """Note that the body is complete."""
        self._body_ended = True
        if self._answered:
            self.finish()
        elif self._receiver is not None:
            self._receiver.receive_end()

    def connectionLost(self, reason: Failure) -> None:
        """Stop what works for a client that has gone."""
        self._stop_draining()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End the response."""
        self._stop_draining()
        self._receiver = None
        if self._idle_timeout is not None:
            # Of a body that ended while it was paused, the channel has saved none.
            self.channel._savedTimeOut = self._idle_timeout
        super().finish()

    @property
    def is_abandoned(self) -> bool:
        """The client has gone: nobody waits for an answer."""
        return bool(self._disconnected)

    # --- the head ----------------------------------------------------------------------------

    def header(self, name: bytes) -> bytes | None:
        """Give the first value of a header, without white space around it."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[0].strip() if values else None

    def peer(self) -> Peer:
        """Say who asks."""
        address = show_address(self.channel.getPeer())
        return Peer(address=address, is_secure=bool(self.channel.isSecure()))

    # --- the body ----------------------------------------------------------------------------

    def receive_body(self, receiver: BodyReceiver) -> None:
        """Let ``receiver`` take the body, from its first byte on."""
        self._receiver = receiver
        early, self._early = self._early, []
        self.resume_input()
        for data in early:
            if self._receiver is receiver:
                receiver.receive_data(data)
        if self._body_ended and self._receiver is receiver:
            receiver.receive_end()

    def pause_input(self) -> None:
        """Read no more of the body for now; a paused client is not an idle one."""
        if not self._disconnected and not self._body_ended:
            self._paused = True
            self._idle_timeout = self.channel.setTimeout(None) or self._idle_timeout
            self._transport().pauseProducing()

    def resume_input(self) -> None:
        """Read on."""
        if self._paused and not self._disconnected:
            self._paused = False
            if not self._body_ended:
                self.channel.setTimeout(self._idle_timeout)
            self._transport().resumeProducing()

    def _transport(self) -> IPushProducer:
        return cast("IPushProducer", self.channel.transport)

    # --- the answer --------------------------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        """Give a fixed answer now; it is finished when the body has ended.

        A body that may be long is not waited for: the answer then says that the connection closes.
        """
        if self._disconnected or self._answered:
            return
        self._answered = True
        self._receiver = None
        self._early.clear()
        content = b"" if self.method == b"HEAD" else answer.body
        headers = [*answer.headers, (b"Content-Length", b"%d" % len(answer.body))]
        if self._body_may_be_long():
            self.channel.persistent = False
            headers.append(_CLOSE)
        # An answer given now takes the place of "100 Continue".
        self.requestHeaders.removeHeader(b"Expect")
        self._write_head(answer.status, answer.reason, headers)
        if content:
            self.channel.write(content)
        self.sentLength = len(content)
        if self._body_ended:
            self.finish()
            return
        self.resume_input()
        self._drain_timer = self.reactor.callLater(self.limits.drain_seconds, self._stop_connection)

    def begin_frames(self, media_type: bytes) -> None:
        """Begin an answer of frames: one chunk for each, or to the end of the connection."""
        headers = [(b"Content-Type", media_type)]
        if self._is_http10() or not self.channel.persistent:
            headers.append(_CLOSE)
        else:
            self.chunked = 1
            headers.append((b"Transfer-Encoding", b"chunked"))
        self._write_head(200, b"OK", headers)

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Write frames, each in a chunk of its own, all in one write."""
        parts: list[bytes] = []
        for header, payload in frames:
            size = HEADER_SIZE + len(payload)
            self.sentLength += size
            if self.chunked:
                parts += (b"%x\r\n" % size, header, payload, b"\r\n")
            else:
                parts += (header, payload)
        self.channel.writeSequence(parts)

    def _write_head(
        self, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self.code, self.code_message = status, reason
        self.startedWriting = 1
        all_headers = Headers()
        all_headers.addRawHeader(b"Server", SERVER)
        all_headers.addRawHeader(b"Date", datetimeToString())
        for name, value in headers:
            all_headers.addRawHeader(name, value)
        self.channel.writeHeaders(b"HTTP/1.1", b"%d" % status, reason, all_headers)

    def _is_http10(self) -> bool:
        return bool(self.clientproto == b"HTTP/1.0")

    def _body_may_be_long(self) -> bool:
        """Say whether what is left of the body is not worth waiting for.

        A client that asked for the connection to be closed needs no header to tell it (observed).
        """
        if self._body_ended or self._declared == 0:
            return False
        if self._declared is None or self.requestHeaders.hasHeader(b"Expect"):
            return True
        return self._declared - self._received > self.limits.drained_body

    # --- draining ----------------------------------------------------------------------------

    def _drain(self, size: int) -> None:
        self._drained += size
        if self._drained > self.limits.drained_body:
            self._stop_connection()

    def _stop_draining(self) -> None:
        timer, self._drain_timer = self._drain_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _stop_connection(self) -> None:
        """End a connection whose client goes on sending what was refused."""
        self._stop_draining()
        if not self._disconnected:
            self.channel.loseConnection()


def _without_authority(target: bytes) -> bytes:
    """Give the path and query of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith((b"http://", b"https://")):
        return target
    _, _, rest = target.partition(b"://")
    _, slash, path = rest.partition(b"/")
    return slash + path
