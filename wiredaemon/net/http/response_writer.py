"""Writes the response to one HTTP request: its head, then frames, a body in parts, or a fixed text.

Owns the way in which the end of the body is marked (a length, chunks, or the end of the
connection), the parts that are held so that they leave in one write, and the producer that the
connection pauses. The body of the request is not its business.

Source: http, section 1.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import datetimeToString

from wiredaemon import __version__
from wiredaemon.net.http.held_body import count_held
from wiredaemon.net.write_now import pause_for_peer, write_now
from wiredaemon.wire.frames import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.frames import EncodedFrame

SERVER: Final = f"wiredaemon/{__version__}".encode()
NO_CONTENT: Final = 204
WITHOUT_BODY: Final = (NO_CONTENT, 304)
"""Statuses of responses that have no body, whatever length they announce (RFC 9110, 6.4.1)."""
_OK: Final = 200
_CLOSE: Final = (b"Connection", b"close")
_CHUNKED: Final = (b"Transfer-Encoding", b"chunked")
_LAST_CHUNK: Final = b"0\r\n\r\n"
_COUNTED: Final = 8192
"""Bytes of a write from which it counts at once for what all connections hold: hundreds of readers
may begin in one second. Most answers are smaller."""
_HELD: Final = 65536
"""Bytes of a response that are held until it is known whether it is complete: as much as a
transport buffers before it pauses its producer, so that holding makes nobody wait longer."""


class ResponseWriter:
    """Writes one response.

    Args:
        channel: The connection that the response is written to.
        method: The request's method; the response to a HEAD has a head alone.
        version: The request's version; HTTP/1.0 knows no chunks.
    """

    # Class-level defaults: most responses are complete without setting all of them.
    is_begun = False
    """The head was written: the status can no longer be changed."""
    status = _OK
    sent = 0
    """Bytes of the body, without the framing of chunks."""
    _is_chunked = False
    _ends_with_connection = False
    """Only the end of the connection says that the body is complete."""
    held: list[bytes] | None = None
    """Parts that wait to leave in one write with later ones; None where parts leave at once."""
    _held_size = 0
    _producer: IPushProducer | None = None
    """Produces the rest of the response; registered once it is certain that there is a rest."""
    _is_registered = False

    def __init__(self, channel: Any, method: bytes, version: bytes) -> None:  # noqa: ANN401 Twisted's is not annotated
        self._channel = channel
        self._is_head = method == b"HEAD"
        self._knows_chunks = version != b"HTTP/1.0"

    # --- beginning ---------------------------------------------------------------------------

    def begin_frames(
        self, media_type: bytes, producer: IPushProducer, frames: Sequence[EncodedFrame]
    ) -> None:
        """Begin a response of frames: each in a chunk of its own, or to the end of the connection.

        Args:
            media_type: The media type of the framing.
            producer: Is paused and resumed as the client accepts frames.
            frames: The first ones; they leave in one write with the head.
        """
        # Measured: 0.06 us for a head that was made before, 0.7 for one made of its headers, and 1
        # more for the date.
        if self._knows_chunks and self._channel.persistent and not self._is_head:
            # Nearly all responses: their head is cached, because only its date changes.
            self._is_chunked = True
            head = _frames_head(int(time.time()), media_type)
        else:
            head = self._stream_head(_OK, b"OK", [(b"Content-Type", media_type)])
        self._begin(_OK, producer)
        self.write_frames(frames, head)

    def begin_stream(
        self,
        status: int,
        reason: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        producer: IPushProducer,
    ) -> None:
        """Begin a response whose body follows: of the length in ``headers``, or in chunks.

        Args:
            status: The status code.
            reason: The reason phrase.
            headers: All headers but those about the connection.
            producer: Is paused and resumed as the client accepts the body.
        """
        head = self._stream_head(status, reason, headers)
        self._begin(status, producer)
        self._write([head], len(head))

    def _stream_head(
        self, status: int, reason: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> bytes:
        """Choose the way in which the end of the body is marked, and return the head."""
        channel = self._channel
        more: list[tuple[bytes, bytes]] = []
        has_length = any(name.lower() == b"content-length" for name, _ in headers)
        if has_length or status in WITHOUT_BODY or self._is_head:
            if not channel.persistent:
                more.append(_CLOSE)
        # A connection that closes needs no chunks, as Mercurial answers `Connection: close` (http,
        # section 1).
        elif self._knows_chunks and (channel.persistent or channel.is_last_request):
            self._is_chunked = True
            more.append(_CHUNKED)
            if not channel.persistent:
                more.append(_CLOSE)
        else:
            channel.persistent = False
            self._ends_with_connection = True
            more.append(_CLOSE)
        return _head(status, reason, [*headers, *more])

    def _begin(self, status: int, producer: IPushProducer) -> None:
        self.is_begun = True
        self.status = status
        self._producer = producer
        if self.held is None:
            self._register()

    # --- writing -----------------------------------------------------------------------------

    def write_frames(self, frames: Sequence[EncodedFrame], head: bytes = b"") -> None:
        """Write frames, each in a chunk of its own, all in one write with the head, if given."""
        parts = [head] if head else []
        size = 0
        if self._is_chunked:
            for header, payload in frames:
                length = HEADER_SIZE + len(payload)
                size += length
                # One chunk for each frame, in lower case and without padding: the transcripts are
                # compared byte for byte (http, section 1).
                parts += (b"%x\r\n" % length, header, payload, b"\r\n")
        else:
            for header, payload in frames:
                size += HEADER_SIZE + len(payload)
                parts += (header, payload)
        self.sent += size
        self._write(parts, size)

    def write_body(self, data: bytes) -> None:
        """Write the next part of the body that `begin_stream` has announced."""
        if not data or self._is_head or self.status in WITHOUT_BODY:
            return
        size = len(data)
        self.sent += size
        self._write([b"%x\r\n" % size, data, b"\r\n"] if self._is_chunked else [data], size)

    def write_fixed(self, response: HttpResponse, *, closes: bool) -> None:
        """Write a whole fixed response.

        Args:
            response: The response; to a HEAD its body is left out, but its length is announced.
            closes: The connection closes after it, which a header announces.
        """
        content = b"" if self._is_head else response.body
        headers = list(response.headers)
        # RFC 9110, 8.6: there is never a body.
        if response.status != NO_CONTENT:
            headers.append((b"Content-Length", b"%d" % len(response.body)))
        if closes:
            self._channel.persistent = False
            headers.append(_CLOSE)
        self.is_begun = True
        self.status = response.status
        self.sent = len(content)
        head = _head(response.status, response.reason, headers)
        self._write([head, content], len(head) + len(content))

    def _write(self, parts: list[bytes], size: int) -> None:
        held = self.held
        if held is None:
            self._send(parts)
            return
        held += parts
        self._held_size += size  # without the framing of chunks, which is small
        if self._held_size > _HELD:
            self.release()

    def _send(self, parts: Sequence[bytes]) -> None:
        channel = self._channel
        size = write_now(channel.transport, parts)
        channel.written += size
        if size > _COUNTED:
            count_held(channel)
        if channel.site.guard.memory.room.is_scarce:
            pause_for_peer(channel.transport)

    # --- holding -----------------------------------------------------------------------------

    def hold(self) -> None:
        """Hold what is written until `release`, or until the response is complete."""
        if self.held is None:
            self.held = []

    def release(self) -> None:
        """Write the held parts; from now on the connection can pause the rest of the response."""
        held, self.held = self.held, None
        # Most responses are complete by now and were never registered: that saves two calls.
        if self._producer is not None:
            self._register()
        if held:
            self._held_size = 0
            self._send(held)

    def _register(self) -> None:
        # Before anything is written, because a write may pause the producer.
        if not self._is_registered:
            self._is_registered = True
            self._channel.registerProducer(self._producer, True)  # noqa: FBT003 Twisted's signature

    def _unregister(self) -> None:
        self._producer = None
        if self._is_registered:
            self._is_registered = False
            self._channel.unregisterProducer()

    # --- the end -----------------------------------------------------------------------------

    def end_body(self) -> None:
        """Mark the end of the body, while the request's body is still arriving."""
        if self._is_chunked:
            # So that `finish`, which is still to come, marks no second end.
            self._is_chunked = False
            self._write([_LAST_CHUNK], len(_LAST_CHUNK))

    def finish(self) -> None:
        """Mark the end of the body and write all held parts: nothing follows."""
        self._producer = None
        if self._is_registered:
            self._unregister()
        held, self.held = self.held or [], None
        if self._is_chunked:
            held.append(_LAST_CHUNK)
        if held:
            self._send(held)

    def break_off(self) -> None:
        """Close the connection in the middle of the response, without marking its end.

        The client notices by the missing end; in a response of frames the last one says why. Where
        an orderly end of the connection would be the end of the response, it is reset.
        """
        held, self.held = self.held, None
        self._unregister()
        if self._ends_with_connection:
            self._channel.abort()
            return
        if held:
            self._send(held)
        self._channel.loseConnection()


def _head(status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head of a response.

    Nothing is escaped: bytes of a client are made printable before (`no_such_method`).
    """
    lines = b"".join([b"%s: %s\r\n" % header for header in headers])
    stamp = _stamp(int(time.time()))
    return b"HTTP/1.1 %d %s\r\n%s%s\r\n" % (status, reason, stamp, lines)


# Two seconds, for a clock that is read on both sides of a change.
@lru_cache(maxsize=2)
def _stamp(second: int) -> bytes:
    """Return the headers that every response begins with; made once a second."""
    return b"Server: %s\r\nDate: %s\r\n" % (SERVER, datetimeToString(second))


# Four dialects in two seconds.
@lru_cache(maxsize=8)
def _frames_head(second: int, media_type: bytes) -> bytes:
    """Return the head of a response of frames in chunks; made once a second for each dialect."""
    stamp = _stamp(second)
    return b"HTTP/1.1 200 OK\r\n%sContent-Type: %s\r\n%s: %s\r\n\r\n" % (
        stamp,
        media_type,
        *_CHUNKED,
    )
