"""A request body on its way to a worker: as fast as that takes it, and not slower than it may."""

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
class Upload:
    """Takes the body of a request and gives it to a worker, which pauses and resumes it.

    Args:
        request: Nothing of its body was taken.
        stream: Of the worker.
        limits: ``push_size``, ``body_rate`` and ``body_rate_seconds``.
        refuse: Ends the request with an answer.
        lost: Is told that the client has gone.
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
        self._counted = 0
        """Of that, when the rate was looked at last."""
        self._is_paused = False
        self._was_paused = False
        """At any time since then: what the worker made wait counts for nothing."""
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Take the body."""
        self._stream.watch_input(self)
        self._wait()
        self._request.body.claim(self)

    def stop(self) -> None:
        """Look at it no more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    # --- the body ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Give the worker the next bytes."""
        self._received += len(data)
        if self._received > self._limits.push_size:
            self._end_with(too_large("push_size", self._limits.push_size))
        else:
            self._stream.send_data(data)

    def receive_end(self) -> None:
        """Tell the worker that the body is complete."""
        self.stop()
        self._stream.send_data(b"", end=True)

    def connection_lost(self) -> None:
        """Tell that the client has gone."""
        self.stop()
        self._lost()

    # --- its rate ----------------------------------------------------------------------------

    def _wait(self) -> None:
        self._timer = self._request.reactor.callLater(self._limits.body_rate_seconds, self._look)

    def _look(self) -> None:
        """Refuse a body that hardly comes: a worker waits for it."""
        least = self._limits.body_rate * self._limits.body_rate_seconds
        if not self._was_paused and self._received - self._counted < least:
            shown = f"the request body is slower than {self._limits.body_rate} B/s (body_rate)\n"
            self._end_with(text(408, b"Request Timeout", shown.encode("ascii")))
            return
        self._counted = self._received
        self._was_paused = self._is_paused
        self._wait()

    def _end_with(self, answer: HttpResponse) -> None:
        self.stop()
        self._refuse(answer)

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The worker takes no more for now."""
        self._is_paused = self._was_paused = True
        self._request.body.pause()

    def resumeProducing(self) -> None:
        """The worker takes more."""
        self._is_paused = False
        self._request.body.resume()

    def stopProducing(self) -> None:
        """The worker has gone; its stream says so."""
