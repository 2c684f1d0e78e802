"""Reads a small request body completely before the command runs.

A slow client cannot hold a worker then: the worker is requested when the last byte has arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from wiredaemon.net.guard.held_memory import STEP
from wiredaemon.net.http.growing_content import GrowingContent
from wiredaemon.net.http.held_body import count_held, tell_held
from wiredaemon.net.http.responses import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse


_COUNTED: Final = 8 * 1024
"""Bytes of one read that are counted at once: the beginnings of hundreds of bodies are much."""


class Waiting(Protocol):
    """The exchange that a whole body was handed to."""

    @property
    def held(self) -> int:
        """The bytes of the body that it holds until a worker has read all of it."""

    def refuse(self, response: HttpResponse) -> None:
        """End the request with a fixed response."""


class BufferedBody:
    """Receives the body of a request, up to a limit; a larger one is refused.

    It counts as not ended until a worker has read it: what many hold that way is no less.

    Args:
        request: The request, of whose body nothing was received.
        limit: The largest body in bytes (`Limits.request_size`).
        complete: Is called with the whole body, and returns what it waits in.
    """

    def __init__(
        self,
        request: StreamingRequest,
        limit: int,
        complete: Callable[[bytearray | memoryview], Waiting],
    ) -> None:
        self._request = request
        self._limit = limit
        self._complete = complete
        self._content = GrowingContent()
        self._waiting: Waiting | None = None

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        size = len(self._content) if self._waiting is None else self._waiting.held
        return size, size

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
        if len(self._content) + len(data) > self._limit:
            self._drop()
            self._refuse()
        else:
            self._content.append(data)
            count_growth(self._request.channel, len(self._content), len(data))

    def receive_end(self) -> None:
        """Pass the whole body to the caller."""
        self._waiting = self._complete(self._content.take())
        tell_held(self._request.channel)

    def connection_lost(self) -> None:
        """Drop the bytes that were kept."""
        self._drop()

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, and answer."""
        self._drop()
        if self._waiting is None:
            self._request.answer(response)
        else:
            self._waiting.refuse(response)

    def _drop(self) -> None:
        self._content.drop()

    def _refuse(self) -> None:
        self._request.answer(too_large("request_size", self._limit))


def count_growth(channel: Any, size: int, added: int) -> None:  # noqa: ANN401 Twisted's is not annotated
    """Count a body that is held; its request may be refused for it.

    Args:
        channel: The connection.
        size: Bytes of the body so far.
        added: Those that the last read has brought.
    """
    if size < STEP and added >= _COUNTED:
        count_held(channel)
    else:
        tell_held(channel)


def too_large(name: str, limit: int) -> HttpResponse:
    """Return the response to a body over a limit, with the limit's name."""
    shown = f"the request body exceeds the limit of {limit} bytes ({name})\n"
    return text(413, b"Content Too Large", shown.encode("ascii"))
