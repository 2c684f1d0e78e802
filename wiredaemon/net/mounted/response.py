"""Writes the response to a request of an ordinary Twisted site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wiredaemon.net.http.response_writer import NO_CONTENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IPushProducer
    from twisted.web.http import Request

    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.frames import EncodedFrame


class MountedResponse:
    """One response: a fixed one, or frames whose producer the site's connection pauses.

    It has those methods of `wiredaemon.net.http.response_writer.ResponseWriter` that an exchange of
    frames calls.

    Args:
        http_request: The site's request.
    """

    is_begun = False
    """The head was written: the status can no longer be changed."""
    written = 0
    """Bytes of the body."""

    def __init__(self, http_request: Request) -> None:
        self._http_request = http_request
        self._is_registered = False

    def begin_frames(
        self, media_type: bytes, producer: IPushProducer, frames: Sequence[EncodedFrame]
    ) -> None:
        """Begin a response of frames; see `ResponseWriter.begin_frames`."""
        self.begin_stream(200, b"OK", [(b"Content-Type", media_type)], producer)
        self.write_frames(frames)

    def begin_stream(
        self,
        status: int,
        reason: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        producer: IPushProducer,
    ) -> None:
        """Begin a response whose body follows; see `ResponseWriter.begin_stream`."""
        request: Any = self._http_request  # Twisted annotates a part of it
        self.is_begun = self._is_registered = True
        request.setResponseCode(status, reason)
        for name, value in headers:
            request.setHeader(name, value)
        # Before anything is written, because a write may pause the producer.
        request.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Write frames."""
        self.write_body(b"".join([part for frame in frames for part in frame]))

    def write_body(self, data: bytes) -> None:
        """Write the next part of a body."""
        self.written += len(data)
        self._http_request.write(data)

    def write_fixed(self, response: HttpResponse) -> None:
        """Write a whole fixed response."""
        request: Any = self._http_request
        self.is_begun = True
        request.setResponseCode(response.status, response.reason)
        # Twisted would call a response without a type a page.
        request.defaultContentType = None
        for name in dict.fromkeys(name for name, _ in response.headers):
            values = [value for other, value in response.headers if other == name]
            request.responseHeaders.setRawHeaders(name, values)
        # RFC 9110, 8.6: there is never a body.
        if response.status != NO_CONTENT:
            request.setHeader(b"Content-Length", b"%d" % len(response.body))
        self.written += len(response.body)
        request.write(response.body)

    def hold(self) -> None:
        """Do nothing: the site's transport joins small writes."""

    def finish(self) -> None:
        """End the response."""
        self._unregister()
        self._http_request.finish()

    def break_off(self) -> None:
        """Close the connection in the middle of the response, without marking its end."""
        self._unregister()
        request: Any = self._http_request
        if request.clientproto == b"HTTP/1.0":
            # There the end of the connection would be the end of the response.
            request.channel.transport.abortConnection()
        else:
            request.channel.loseConnection()

    def _unregister(self) -> None:
        if self._is_registered:
            self._is_registered = False
            self._http_request.unregisterProducer()
