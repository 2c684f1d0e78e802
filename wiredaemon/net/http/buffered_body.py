"""Reads a small request body completely before the command runs.

A slow client cannot hold a worker then: the worker is requested when the last byte has arrived.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Protocol

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


class GrowingBody(ABC):
    """Receives the body of a request, up to a limit; a larger one is refused.

    Args:
        request: The request, of whose body nothing was received.
        name: The field of `Limits` that bounds it.
    """

    def __init__(self, request: StreamingRequest, name: str) -> None:
        self._request = request
        self._name = name
        self._limit: int = getattr(request.limits, name)
        self._content = GrowingContent()

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
        size = len(self._content) + len(data)
        if size > self._limit:
            self._content.drop()
            self._refuse()
            return
        self._content.append(data)
        channel = self._request.channel
        if size < STEP and len(data) >= _COUNTED:
            count_held(channel)
        else:
            tell_held(channel)

    @abstractmethod
    def receive_end(self) -> None:
        """Hand the body over."""

    @abstractmethod
    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""

    def connection_lost(self) -> None:
        """Drop the bytes that were kept."""
        self._content.drop()

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, and answer."""
        self._content.drop()
        self._request.answer(response)

    def _refuse(self) -> None:
        self._request.answer(too_large(self._name, self._limit))


class BufferedBody(GrowingBody):
    """Receives the arguments of a command of version 1, for a worker.

    They count as not ended until a worker has read them: what many hold that way is no less.

    Args:
        request: The request, of whose body nothing was received.
        complete: Is called with the whole body, and returns what it waits in.
    """

    def __init__(
        self,
        request: StreamingRequest,
        complete: Callable[[bytearray | memoryview], Waiting],
    ) -> None:
        super().__init__(request, "request_size")
        self._complete = complete
        self._waiting: Waiting | None = None

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        size = len(self._content) if self._waiting is None else self._waiting.held
        return size, size

    def receive_end(self) -> None:
        """Pass the whole body to the caller."""
        self._waiting = self._complete(self._content.take())
        tell_held(self._request.channel)

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, and answer."""
        if self._waiting is None:
            super().refuse(response)
        else:
            self._waiting.refuse(response)


def too_large(name: str, limit: int) -> HttpResponse:
    """Return the response to a body over a limit, with the limit's name."""
    shown = f"the request body exceeds the limit of {limit} bytes ({name})\n"
    return text(413, b"Content Too Large", shown.encode("ascii"))
