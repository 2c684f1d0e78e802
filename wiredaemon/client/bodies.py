"""Bodies of HTTP responses: short ones are read whole, others delivered with back-pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from wiredaemon.client.errors import BrokenProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse


class Body(Protocol):
    """Passes a body on as it arrives."""

    transport: Any

    def __init__(
        self, on_data: Callable[[bytes], None], on_end: Callable[[BaseException | None], None]
    ) -> None:
        """Begin unconnected.

        Args:
            on_data: Is called with each piece.
            on_end: Is called at the end, with None or the reason why the body is incomplete.
        """
        self._on_data = on_data
        self._on_end = on_end
        self._is_over = False

    def dataReceived(self, data: bytes) -> None:
        """Pass on a piece."""
        if not self._is_over:
            self._on_data(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted always gives it
        """Pass on the end."""
        if self._is_over:
            return
        self._is_over = True
        # Without a length the end of the connection is the end of the body.
        is_whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._on_end(None if is_whole else reason.value)

    def abort(self) -> None:
        """Stop reading and close the connection, unless the body has ended."""
        if self._is_over:
            return
        self._is_over = True
        self.transport.resumeProducing()
        self.transport.loseConnection()


def read_beginning(response: IResponse, limit: int, *, is_cut: bool) -> Deferred[bytes]:
    """Read a response's body of at most ``limit`` bytes.

    Args:
        response: The response, whose body was not read.
        limit: Bytes.
        is_cut: Cut a longer body off, instead of failing with `BrokenProtocolError`.
    """
    received = bytearray()
    done: Deferred[bytes] = Deferred(lambda _: body.abort())

    def on_data(data: bytes) -> None:
        received.extend(data)
        if len(received) <= limit:
            return
        body.abort()
        if is_cut:
            done.callback(bytes(received[:limit]))
        else:
            done.errback(BrokenProtocolError(f"an answer of more than {limit} bytes"))

    def on_end(error: BaseException | None) -> None:
        # What is cut off is for an error's text: as much as came is better than another error.
        if error is None or is_cut:
            done.callback(bytes(received))
        else:
            done.errback(error)

    body = Body(on_data, on_end)
    response.deliverBody(body)
    return done
