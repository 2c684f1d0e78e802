"""Reads a small request body completely before the command runs.

A slow client cannot hold a worker then: the worker is requested when the last byte has arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.http.held_body import tell_held
from wiredaemon.net.http.responses import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse


class BufferedBody:
    """Receives the body of a request, up to a limit; a larger one is refused.

    Args:
        request: The request, of whose body nothing was received.
        limit: The largest body in bytes (`Limits.request_size`).
        complete: Is called with the whole body.
    """

    def __init__(
        self, request: StreamingRequest, limit: int, complete: Callable[[bytes], None]
    ) -> None:
        self._request = request
        self._limit = limit
        self._complete = complete
        self._parts: list[bytes] = []
        self._size = 0
        self._is_complete = False

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        return self._size, 0 if self._is_complete else self._size

    def start(self) -> None:
        """Receive the body, or refuse it unread if its announced length is too large."""
        declared = self._request.content_length
        # Before a byte is read: a client that waits for "100 Continue" has sent none yet.
        if declared is not None and declared > self._limit:
            self._refuse()
        else:
            self._request.body.claim(self)

    def receive_data(self, data: bytes) -> None:
        """Keep the next bytes, or refuse the body if it is too large by now."""
        self._size += len(data)
        if self._size > self._limit:
            self._drop()
            self._refuse()
        else:
            self._parts.append(data)
            tell_held(self._request.channel)

    def receive_end(self) -> None:
        """Pass the whole body to the caller."""
        content = b"".join(self._parts)
        self._parts.clear()
        self._is_complete = True
        # It stays, and counts, until its request is finished.
        tell_held(self._request.channel)
        self._complete(content)

    def connection_lost(self) -> None:
        """Drop the bytes that were kept."""
        self._drop()

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, and answer."""
        self._drop()
        self._request.answer(response)

    def _drop(self) -> None:
        self._parts.clear()
        self._size = 0

    def _refuse(self) -> None:
        self._request.answer(too_large("request_size", self._limit))


def too_large(name: str, limit: int) -> HttpResponse:
    """Return the response to a body over a limit, with the limit's name."""
    shown = f"the request body exceeds the limit of {limit} bytes ({name})\n"
    return text(413, b"Content Too Large", shown.encode("ascii"))
