"""Receives the arguments of a call in the body of its request, and hands them over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.http.buffered_body import GrowingBody
from wiredaemon.net.http.held_body import count_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.request_body import BodyReceiver
    from wiredaemon.net.http.responses import HttpResponse


class ArgumentsBody(GrowingBody):
    """Receives a body, and then stands for the call in front of the request.

    Args:
        request: The request, of whose body nothing was received.
        complete: Is called with the whole body, and returns what goes on with the request; None if
            it has answered it.
    """

    def __init__(
        self,
        request: StreamingRequest,
        complete: Callable[[bytearray | memoryview], BodyReceiver | None],
    ) -> None:
        super().__init__(request, "json_request")
        self._complete = complete
        self._call: BodyReceiver | None = None

    def receive_end(self) -> None:
        """Hand the body over."""
        # Twisted takes it from a request that is answered.
        channel = self._request.channel
        self._call = self._complete(self._content.take())
        if self._call is not None:
            self._call.receive_end()
        # However little has changed: the body has ended, and may be answered by now.
        if channel in channel.site.guard.memory:
            count_held(channel)

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        if self._call is not None:
            return self._call.held()
        return len(self._content), len(self._content)

    def connection_lost(self) -> None:
        """Drop the bytes that were kept, or cancel the call."""
        super().connection_lost()
        if self._call is not None:
            self._call.connection_lost()

    def refuse(self, response: HttpResponse) -> None:
        """Drop the bytes that were kept, or cancel the call, and answer."""
        if self._call is None:
            super().refuse(response)
        else:
            self._call.refuse(response)
