"""Sends a request body to a worker with back-pressure, and refuses one that arrives too slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wiredaemon.net.http.buffered_body import too_large
from wiredaemon.net.http.responses import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.wire.limits import Limits


@implementer(IPushProducer)
class PushBody:
    """Receives the body of a request and sends it to a worker, which pauses and resumes it.

    Args:
        request: The request, of whose body nothing was received.
        stream: The stream to the worker.
        limits: ``push_size``, ``body_rate`` and ``body_rate_seconds``.
        refuse: Ends the request with a fixed response.
        lost: Is called when the client has gone.
    """

    def __init__(
        self,
        request: StreamingRequest,
        stream: WorkerStream,
        limits: Limits,
        *,
        refuse: Callable[[HttpResponse], None],
        lost: Callable[[], None],
    ) -> None:
        self._request = request
        self._stream = stream
        self._limits = limits
        self._refuse = refuse
        self._lost = lost
        self._received = 0
        self._received_before = 0
        """Bytes that had been received when the rate was checked last."""
        self._is_paused = False
        self._was_paused = False
        """The worker has paused the body since then: the rate is not the client's fault."""
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Receive the body."""
        # Before the body is claimed, because the claim delivers bytes that were kept.
        self._stream.watch_input(self)
        self._wait()
        self._request.body.claim(self)

    def stop(self) -> None:
        """Stop checking the rate."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    # --- the body ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Send the worker the next bytes."""
        self._received += len(data)
        # Counted, because a chunked body announces no length.
        if self._received > self._limits.push_size:
            self._end_with(too_large("push_size", self._limits.push_size))
        else:
            self._stream.send_data(data)

    def receive_end(self) -> None:
        """Notify the worker that the body is complete."""
        self.stop()
        self._stream.send_data(b"", end=True)

    def connection_lost(self) -> None:
        """Notify the exchange that the client has gone."""
        self.stop()
        self._lost()

    # --- its rate ----------------------------------------------------------------------------

    def _wait(self) -> None:
        self._timer = self._request.reactor.callLater(self._limits.body_rate_seconds, self._check)

    def _check(self) -> None:
        """Refuse a body below the rate: it holds a worker that other requests wait for."""
        # A window, not an average over all: a client that sent fast at first could then stall for
        # hours.
        least = self._limits.body_rate * self._limits.body_rate_seconds
        if not self._was_paused and self._received - self._received_before < least:
            shown = f"the request body is slower than {self._limits.body_rate} B/s (body_rate)\n"
            self._end_with(text(408, b"Request Timeout", shown.encode("ascii")))
            return
        # A pause that goes on counts for the next window, too.
        self._received_before = self._received
        self._was_paused = self._is_paused
        self._wait()

    def _end_with(self, response: HttpResponse) -> None:
        self.stop()
        self._refuse(response)

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop reading the body: the worker holds enough of it."""
        self._is_paused = self._was_paused = True
        self._request.body.pause()

    def resumeProducing(self) -> None:
        """Read the body again."""
        self._is_paused = False
        self._request.body.resume()

    def stopProducing(self) -> None:
        """Do nothing: the worker has gone, and its stream fails the exchange."""
