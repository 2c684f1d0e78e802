"""The objects inside a response of 0006: the leading status map, then what the command gave.

Source: framing, section 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.wire.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseError:
    """The status map said that the command failed."""

    message: bytes
    arguments: Sequence[bytes] = ()


class ResponseReader:
    """Reads one response from the contents of its frames."""

    def __init__(self, limits: Limits, *, size_limit: int | None = None) -> None:
        """Begin before the status map.

        Args:
            limits: Depth and element count of each object.
            size_limit: Bytes that the whole response may have.
        """
        self._items = ItemReader(DIALECTS["0006"].cbor, limits)
        self._size_limit = size_limit
        self._size = 0
        self._status_seen = False
        self.error: ResponseError | None = None
        self.location: object = None
        """Where to look instead, if the status was ``redirect``."""

    def receive_data(self, data: bytes) -> list[object]:
        """Give the objects that ``data`` completes, the status map not among them.

        Raises:
            RemoteProtocolError: It is no response, or too large.
        """
        self._size += len(data)
        if self._size_limit is not None and self._size > self._size_limit:
            message = f"response exceeds the limit of {self._size_limit} bytes"
            raise RemoteProtocolError(message, malformed=True)
        try:
            values = self._items.receive_data(data)
        except CborError as error:
            message = f"error decoding CBOR from response: {error}"
            raise RemoteProtocolError(message, malformed=True) from error
        if values and not self._status_seen:
            self._status_seen = True
            self._read_status(values.pop(0))
        return values

    def receive_end(self) -> None:
        """Say that the response has ended.

        Raises:
            RemoteProtocolError: It has no status, or ends inside an object.
        """
        if not self._status_seen or self._items.held:
            message = "the response is incomplete"
            raise RemoteProtocolError(message, malformed=True)

    def _read_status(self, status: object) -> None:
        match status:
            case {b"status": b"ok"}:
                return
            case {b"status": b"error", b"error": {b"message": bytes() as text, **rest}}:
                given = rest.get(b"args")
                arguments = given if isinstance(given, list) else []
                self.error = ResponseError(
                    message=text, arguments=[arg for arg in arguments if isinstance(arg, bytes)]
                )
            case {b"status": b"redirect", b"location": location}:
                self.location = location
            case _:
                message = "the response does not begin with a status map"
                raise RemoteProtocolError(message, malformed=True)
