"""A request body that is held whole before anybody works on it: who dribbles it keeps nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.http.responses import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse


class SmallBody:
    """Takes the body of a request, up to a limit; more is refused."""

    def __init__(
        self, request: StreamingRequest, limit: int, complete: Callable[[bytes], None]
    ) -> None:
        """Hold the body of ``request``.

        Args:
            request: Nothing of its body was taken.
            limit: Bytes, ``request_size``.
            complete: Is given the body.
        """
        self._request = request
        self._limit = limit
        self._complete = complete
        self._parts: list[bytes] = []
        self._size = 0

    def start(self) -> None:
        """Take the body; one that says to be too large is not even begun."""
        declared = self._request.content_length
        if declared is not None and declared > self._limit:
            self._refuse()
        else:
            self._request.body.claim(self)

    def receive_data(self, data: bytes) -> None:
        """Hold more of it."""
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
            self._refuse()
        else:
            self._parts.append(data)

    def receive_end(self) -> None:
        """Give it."""
        self._complete(b"".join(self._parts))

    def connection_lost(self) -> None:
        """Forget it."""
        self._parts.clear()

    def _refuse(self) -> None:
        self._request.answer(too_large("request_size", self._limit))


def too_large(name: str, limit: int) -> HttpResponse:
    """Give the answer to a body over a limit."""
    shown = f"the request body exceeds the limit of {limit} bytes ({name})\n"
    return text(413, b"Content Too Large", shown.encode("ascii"))
