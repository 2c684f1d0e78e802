"""Sends a request body to a worker with back-pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wiredaemon.net.http.buffered_body import too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.hosting.push_answers import Push
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
        limits: ``push_size``.
        refuse: Ends the request with a fixed response.
        lost: Is called when the client has gone.
        push: Is told of the body, to know it if it comes again.
    """

    def __init__(  # noqa: PLR0913 what a body meets on its way
        self,
        request: StreamingRequest,
        stream: WorkerStream,
        limits: Limits,
        *,
        refuse: Callable[[HttpResponse], None],
        lost: Callable[[], None],
        push: Push | None = None,
    ) -> None:
        self._request = request
        self._stream = stream
        self._limits = limits
        self._refuse = refuse
        self._lost = lost
        self._push = push
        self._received = 0

    def start(self) -> None:
        """Receive the body."""
        # Before the body is claimed, because the claim delivers bytes that were kept.
        self._stream.watch_input(self)
        self._request.body.claim(self)

    # --- the body ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Send the worker the next bytes."""
        self._received += len(data)
        # Counted, because a chunked body announces no length.
        if self._received > self._limits.push_size:
            self._refuse(too_large("push_size", self._limits.push_size))
            return
        if self._push is not None:
            self._push.receive_data(data)
        self._stream.send_data(data)

    def receive_end(self) -> None:
        """Notify the worker that the body is complete."""
        if self._push is not None:
            self._push.receive_end()
        self._stream.send_data(b"", end=True)

    def held(self) -> tuple[int, int]:
        """Return that nothing is held here: the stream to the worker pauses the client."""
        return 0, 0

    def connection_lost(self) -> None:
        """Notify the exchange that the client has gone."""
        self._lost()

    def refuse(self, response: HttpResponse) -> None:
        """End the exchange: the worker is held for a body that does not come."""
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
