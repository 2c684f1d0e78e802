"""Sends a request body to a worker with back-pressure, once its beginning has come.

Whoever sends hardly anything holds no worker until then: the rate of bodies counts from the first
byte. A client that expects to be asked for the body is asked when there is a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wiredaemon.net.http.buffered_body import too_large
from wiredaemon.net.http.held_body import tell_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.cache.clones import WebStream
    from wiredaemon.net.hosting.push_answers import Push
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.limits import Limits


@implementer(IPushProducer)
class PushBody:
    """Receives the body of a request and sends it to a worker, which pauses and resumes it.

    Args:
        request: The request, of whose body nothing was received.
        limits: ``push_size`` and ``push_early``.
        begin: Asks for a worker, now that enough has come.
        refuse: Ends the request with a fixed response.
        lost: Is called when the client has gone.
        push: Is told of the body, to know it if it comes again.
    """

    def __init__(  # noqa: PLR0913 what a body meets on its way
        self,
        request: StreamingRequest,
        limits: Limits,
        *,
        begin: Callable[[], None],
        refuse: Callable[[HttpResponse], None],
        lost: Callable[[], None],
        push: Push | None = None,
    ) -> None:
        self._request = request
        self._limits = limits
        self._begin = begin
        self._refuse = refuse
        self._lost = lost
        self._push = push
        self._received = 0
        self._stream: WebStream | None = None
        self._early = bytearray()
        """The bytes that came before there was a worker."""
        self._has_begun = self._has_ended = self._is_claimed = False

    def start(self) -> None:
        """Receive the beginning of the body, if the client sends it unasked."""
        request = self._request
        # The header is taken away where the decision on the request took time.
        is_asked = request.body.ask_client is not None or request.header(b"Expect") is not None
        if is_asked or not self._limits.push_early:
            self._begin_once()
        else:
            self._is_claimed = True
            request.body.claim(self)

    def send_to(self, stream: WebStream) -> None:
        """Send all of the body to a worker."""
        self._stream = stream
        # Before the body is claimed, because the claim delivers bytes that were kept.
        stream.watch_input(self)
        if not self._is_claimed:
            self._request.body.claim(self)
            return
        # Before anything is sent: a worker that wants no more pauses again.
        self._request.body.resume()
        early, self._early = bytes(self._early), bytearray()
        tell_held(self._request.channel)
        self._send(early)
        if self._has_ended:
            self._end()

    def _begin_once(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._request.body.pause()
            self._begin()

    def _send(self, data: bytes) -> None:
        stream = self._stream
        if stream is None:
            return
        # Not when it comes: a push that waits for a worker ends where its client leaves.
        if self._push is not None:
            self._push.receive_data(data)
        stream.send_data(data)

    def _end(self) -> None:
        if self._push is not None:
            self._push.receive_end()
        if self._stream is not None:
            self._stream.send_data(b"", end=True)

    # --- the body ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Send the worker the next bytes, or keep them until there is one."""
        self._received += len(data)
        # Counted, because a chunked body announces no length.
        if self._received > self._limits.push_size:
            self._refuse(too_large("push_size", self._limits.push_size))
            return
        if self._stream is not None:
            self._send(data)
            return
        self._early += data
        tell_held(self._request.channel)
        if len(self._early) >= self._limits.push_early:
            self._begin_once()

    def receive_end(self) -> None:
        """Notify the worker that the body is complete."""
        if self._stream is not None:
            self._end()
        else:
            self._has_ended = True
            self._begin_once()

    def held(self) -> tuple[int, int]:
        """Return what is kept until there is a worker, whose stream then pauses the client."""
        size = len(self._early)
        return size, size

    def connection_lost(self) -> None:
        """Notify the exchange that the client has gone."""
        self._early = bytearray()
        self._lost()

    def refuse(self, response: HttpResponse) -> None:
        """End the exchange: the body does not come, or comes too slowly."""
        self._early = bytearray()
        self._refuse(response)

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop reading the body: the worker holds enough of it."""
        self._request.body.pause()

    def resumeProducing(self) -> None:
        """Read the body again."""
        self._request.body.resume()

    def stopProducing(self) -> None:
        """Do nothing: the worker has gone, and its stream fails the exchange."""
