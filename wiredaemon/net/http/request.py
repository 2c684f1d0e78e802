"""HTTP requests that are decided from their head and whose bodies are never spooled.

Twisted's own request collects the whole body, to disk if it is large, before any resource sees it.
This one finds its resource when the head is complete; the resource answers at once or takes the
body as it arrives.

Source: http, section 1.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast
from urllib.parse import unquote_to_bytes

from twisted.web.http import datetimeToString
from twisted.web.server import Request

from wiredaemon import __version__
from wiredaemon.commands import Peer
from wiredaemon.net.http.channel import KnownHead
from wiredaemon.net.peer import show_address
from wiredaemon.net.write_now import write_now
from wiredaemon.wire.frames import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
    from twisted.python.failure import Failure

    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.limits import Limits

SERVER: Final = f"wiredaemon/{__version__}".encode()
_CLOSE: Final = (b"Connection", b"close")
WITHOUT_BODY: Final = (204, 304)
"""Statuses of answers that have no body, whatever length they say."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
_HELD: Final = 65536
"""Bytes of an answer that are held until it is known whether it is complete."""


class BodyReceiver(Protocol):
    """Takes the body of a request."""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes."""

    def receive_end(self) -> None:
        """Say that the body is complete."""

    def connection_lost(self) -> None:
        """Say that the client has gone."""


class Decided(Protocol):
    """A resource that decides on a request as soon as its head is complete."""

    def headers_received(self, request: StreamingRequest) -> None:
        """HttpResponse, or have the body received."""


@lru_cache(maxsize=2)
def _stamp(second: int) -> bytes:
    """Give the headers that every answer begins with."""
    return b"Server: %s\r\nDate: %s\r\n" % (SERVER, datetimeToString(second))


class StreamingRequest(Request):
    """One HTTP request."""

    # Else Twisted adds text/html where we say nothing.
    defaultContentType = None
    # Set by the site.
    channel: Any  # KeptChannel; Twisted deletes it behind the answer
    site: Any
    limits: ClassVar[Limits]
    reactor: ClassVar[IReactorTime]
    keeps_log: ClassVar[bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Twisted's arguments
        """Begin with an undecided body."""
        super().__init__(*args, **kwargs)
        self._receiver: BodyReceiver | None = None
        self._early: list[bytes] = []
        """Body bytes that came while the answer was being decided."""
        self._body_ended = False
        self._answered = False
        """A fixed answer was written; the rest of the body is drained."""
        self._raw_head: bytes | None = None
        """Its bytes, if the site may remember them."""
        self._declared: int | None = 0
        self._received = 0
        self._drained = 0
        self._drain_timer: IDelayedCall | None = None
        self._paused = False
        self._idle_timeout: float | None = None
        """What the channel's was before the first pause."""
        self._held: list[bytes] | None = None
        """What is to be written at once with what follows in a moment."""
        self._held_size = 0
        self._producer: IPushProducer | None = None
        """Of the answer; to be registered when it is not complete at once."""

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
        self._raw_head = channel.take_head()
        self.resource = self.site.getResourceFor(self)
        self.resource.headers_received(self)

    def begin(self, known: KnownHead) -> None:
        """Begin with a head that was parsed and whose resource was found before."""
        self.method, self.uri, self.clientproto = known.method, known.uri, b"HTTP/1.1"
        self.path = self.uri
        self.site = self.channel.factory
        self.requestHeaders = known.headers
        self._declared = known.length
        self.resource = known.resource
        self.resource.headers_received(self)

    def remember(self) -> None:
        """Let the site remember the head: its resource would decide the same again."""
        head, headers, length = self._raw_head, self.requestHeaders, self._declared
        if head is not None and length and not headers.hasHeader(b"Expect"):
            known = KnownHead(self.method, self.uri, headers, length, self.resource)
            self.site.known_heads.remember(head, known)

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
            self._held = []
            self._receiver.receive_end()
            self._release()

    def connectionLost(self, reason: Failure) -> None:
        """Stop what works for a client that has gone."""
        self._stop_draining()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End the response, which has begun."""
        self._stop_draining()
        self._receiver = self._producer = None
        if self.producer is not None:
            self.unregisterProducer()
        if self._idle_timeout is not None:
            # Of a body that ended while it was paused, the channel has saved none.
            self.channel._savedTimeOut = self._idle_timeout
        self._write([_LAST_CHUNK] if self.chunked else [])
        self._release()
        if self.keeps_log:
            self.site.log(self)
        self.finished = 1
        self._cleanup()

    def _write(self, parts: Sequence[bytes]) -> None:
        if self._held is None:
            write_now(self.channel.transport, parts)
            return
        self._held += parts
        self._held_size += sum(map(len, parts))
        if self._held_size > _HELD:
            self._release()

    def _release(self) -> None:
        """Write what is held; an answer that goes on is paused from now on where it must be."""
        held, self._held = self._held, None
        if self._producer is not None and self.producer is None:
            # Before anything is written, for that may pause it.
            self.registerProducer(self._producer, True)  # noqa: FBT003 Twisted's signature
        if held:
            self._held_size = 0
            write_now(self.channel.transport, held)

    @property
    def is_abandoned(self) -> bool:
        """The client has gone: nobody waits for an answer."""
        return bool(self._disconnected)

    # --- the head ----------------------------------------------------------------------------

    def header(self, name: bytes) -> bytes | None:
        """Give the first value of a header, without white space around it."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[0].strip() if values else None

    @property
    def content_length(self) -> int | None:
        """The size of the body; None if that was not said, for it comes in chunks."""
        return self._declared

    def peer(self) -> Peer:
        """Say who asks."""
        channel = self.channel
        if channel.peer is None:
            address = show_address(channel.getPeer())
            channel.peer = Peer(address=address, is_secure=bool(channel.isSecure()))
        peer: Peer = channel.peer
        return peer

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
        """Read no more of the body for now; a paused client is not an idle one.

        Where there is no body we read on, for otherwise nobody would see that the client has gone.
        """
        if self._declared != 0 and not self._disconnected and not self._body_ended:
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

    def answer(self, answer: HttpResponse) -> None:
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
        self._write([self._head(answer.status, answer.reason, headers), content])
        self.sentLength = len(content)
        if self._body_ended:
            self.finish()
            return
        self.resume_input()
        self._drain_timer = self.reactor.callLater(self.limits.drain_seconds, self._stop_connection)

    def begin_frames(self, media_type: bytes, producer: IPushProducer) -> None:
        """Begin an answer of frames: one chunk for each, or to the end of the connection.

        Args:
            media_type: Of the frames.
            producer: Is paused and resumed as the client takes them.
        """
        self.begin_stream(200, b"OK", [(b"Content-Type", media_type)], producer)

    def begin_stream(
        self,
        status: int,
        reason: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        producer: IPushProducer,
    ) -> None:
        """Begin an answer whose body follows: of the length that ``headers`` say, or in chunks.

        Args:
            status: Of the answer.
            reason: Its phrase.
            headers: All but those of the connection.
            producer: Is paused and resumed as the client takes the body.
        """
        self._producer = producer
        if self._held is None:
            self._release()
        more: list[tuple[bytes, bytes]] = []
        has_length = any(name.lower() == b"content-length" for name, _ in headers)
        if has_length or status in WITHOUT_BODY or self.method == b"HEAD":
            if not self.channel.persistent:
                more.append(_CLOSE)
        elif self._is_http10() or not self.channel.persistent:
            self.channel.persistent = False
            more.append(_CLOSE)
        else:
            self.chunked = 1
            more.append((b"Transfer-Encoding", b"chunked"))
        self._write([self._head(status, reason, [*headers, *more])])

    def write_body(self, data: bytes) -> None:
        """Write the next part of the body that `begin_stream` has announced."""
        if not data or self.method == b"HEAD" or self.code in WITHOUT_BODY:
            return
        self.sentLength += len(data)
        self._write([b"%x\r\n" % len(data), data, b"\r\n"] if self.chunked else [data])

    def end_stream(self) -> None:
        """End the answer, behind the rest of the request's body if that is still coming."""
        if self._disconnected:
            return
        if self._body_ended:
            self.finish()
            return
        if self.chunked:
            # The answer is complete, whatever becomes of the rest of the body.
            self.chunked = 0
            self._write([_LAST_CHUNK])
        self._answered = True
        self._receiver = None
        self.resume_input()
        self._drain_timer = self.reactor.callLater(self.limits.drain_seconds, self._stop_connection)

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Write frames, each in a chunk of its own, all in one write."""
        sizes = [HEADER_SIZE + len(payload) for _, payload in frames]
        self.sentLength += sum(sizes)
        if self.chunked:
            parts = [
                part
                for size, (header, payload) in zip(sizes, frames, strict=True)
                for part in (b"%x\r\n" % size, header, payload, b"\r\n")
            ]
        else:
            parts = [part for frame in frames for part in frame]
        self._write(parts)

    def break_off(self) -> None:
        """End the connection in the middle of the answer: its last frame says why."""
        self._producer = None
        self._release()
        if self.producer is not None:
            self.unregisterProducer()
        self.channel.loseConnection()

    def _head(self, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Give the head of the answer; none of what it says comes from a client."""
        self.code, self.code_message = status, reason
        self.startedWriting = 1
        lines = b"".join([b"%s: %s\r\n" % header for header in headers])
        stamp = _stamp(int(time.time()))
        return b"HTTP/1.1 %d %s\r\n%s%s\r\n" % (status, reason, stamp, lines)

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
