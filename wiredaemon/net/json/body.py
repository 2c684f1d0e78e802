"""Receives the arguments of a call in the body of its request, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.http.buffered_body import count_growth, too_large
from wiredaemon.net.http.growing_content import GrowingContent

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.request_body import BodyReceiver
    from wiredaemon.net.http.responses import HttpResponse


class ArgumentsBody:
    """Receives a body, and hands it over when it is complete.

    Args:
        request: The request, of whose body nothing was received.
        limit: The largest body in bytes (`Limits.json_request`).
        complete: Is called with the whole body, and returns what goes on with the request; None if
            it has answered it.
    """

    def __init__(
        self,
        request: StreamingRequest,
        limit: int,
        complete: Callable[[bytearray | memoryview], BodyReceiver | None],
    ) -> None:
        self._request = request
        self._limit = limit
        self._complete = complete
        self._content = GrowingContent()
        self._next: BodyReceiver | None = None

    def start(self) -> None:
        """Receive the body, or refuse it unread if its announced length is too large."""
        declared = self._request.body.declared
        # Before a byte is read: a client that waits for "100 Continue" has sent none yet.
        if declared is not None and declared > self._limit:
            self._refuse()
        else:
            self._request.body.claim(self)

    def receive_data(self, data: bytes) -> None:
        """Keep the next bytes, or refuse the body if it is too large by now."""
        if len(self._content) + len(data) > self._limit:
            self._content.drop()
            self._refuse()
            return
        self._content.append(data)
        count_growth(self._request.channel, len(self._content), len(data))

    def receive_end(self) -> None:
        """Hand the body over."""
        self._next = self._complete(self._content.take())
        if self._next is not None:
            self._next.receive_end()

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        if self._next is not None:
            return self._next.held()
        return len(self._content), len(self._content)

    def connection_lost(self) -> None:
        """Drop the bytes that were kept, or cancel the call."""
        self._content.drop()
        if self._next is not None:
            self._next.connection_lost()

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, or cancel the call, and answer."""
        self._content.drop()
        if self._next is None:
            self._request.answer(response)
        else:
            self._next.refuse(response)

    def _refuse(self) -> None:
        self._request.answer(too_large("json_request", self._limit))
