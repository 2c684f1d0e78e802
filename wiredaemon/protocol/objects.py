"""The objects inside a response, for every dialect.

A reader lives as long as one response. It receives the response's events from `ClientConnection`,
and returns the objects as soon as they are complete; raw bytes, of 0002 and 0003, are one object.

Source: framing, section 6; server-state-machine, section 2.5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.wire.cbor import ItemReader, decode_all
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.cbor_small import plain_size
from wiredaemon.wire.dialects import DIALECTS, ResponseForm
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.protocol.events import ResponseDataReceived
    from wiredaemon.wire.cbor_heads import CborRules
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseError:
    """The status map said that the command failed."""

    message: bytes
    arguments: Sequence[bytes] = ()


class ObjectReader(ABC):
    """Reads one response from its events.

    `RequestFailed` is not one of them: nothing follows it, and the reader can be dropped.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        size_limit: int | None = None,
        rules: CborRules = DIALECTS["0006"].cbor,
    ) -> None:
        """Begin in front of the response.

        Args:
            limits: Depth and element count of each object.
            size_limit: Bytes that the whole response may have, counted as decoded from its content
                encoding. None sets no bound to the size of an object, which is held whole.
            rules: The CBOR that is accepted.
        """
        self._rules = rules
        self._limits = limits
        self._items = ItemReader(rules, limits)
        self._size_limit = size_limit
        self._size = 0
        self.error: ResponseError | None = None
        """The failure of the command, if the status map reported one."""
        self.location: object = None
        """The location of the response, if the status was ``redirect``."""

    def receive_event(self, event: ResponseDataReceived) -> list[object]:
        """Return the objects that are complete now; a status map is not among them.

        Raises:
            RemoteProtocolError: The response is not in the form of the dialect, incomplete at its
                end, or too large; the reader must not be used again.
        """
        self._count(event.data)
        objects = self._receive(event)
        if event.end:
            self.receive_end()
        return objects

    def receive_end(self) -> None:
        """Note that the response has ended; `receive_event` does so where an event ends it.

        Raises:
            RemoteProtocolError: It ends inside an object.
        """
        if self._items.held:
            raise self._incomplete()

    @abstractmethod
    def _receive(self, event: ResponseDataReceived) -> list[object]:
        """Return the objects that an event completes."""

    def _count(self, data: bytes) -> None:
        self._size += len(data)
        if self._size_limit is not None and self._size > self._size_limit:
            message = f"response exceeds the limit of {self._size_limit} bytes"
            raise RemoteProtocolError(message, malformed=True)

    def _decode(self, data: bytes) -> list[object]:
        try:
            # One plain item is the usual case; it is looked at once more, which costs less than
            # the scan of any other.
            if data and not self._items.held and plain_size(data) == len(data):
                return decode_all(data, self._rules, self._limits)
            return self._items.receive_data(data)
        except CborError as error:
            message = f"error decoding CBOR from response: {error}"
            raise RemoteProtocolError(message, malformed=True) from error

    @staticmethod
    def _incomplete() -> RemoteProtocolError:
        return RemoteProtocolError("the response is incomplete", malformed=True)


_OK: Final = b"\xa1FstatusBok"
"""The status map of a response that did not fail, as everybody encodes it."""


class WholeReader(ObjectReader):
    """Holds raw bytes to their end, where they are one `RawBytes`; reads CBOR as it comes (0003).

    Each frame of a response in CBOR says so, the first one too. Where only the last does, which no
    server is known for, the content was held, and is read then.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        size_limit: int | None = None,
        rules: CborRules = DIALECTS["0003"].cbor,
    ) -> None:
        """Begin in front of the response; the arguments are those of `ObjectReader`."""
        super().__init__(limits, size_limit=size_limit, rules=rules)
        self._parts: list[bytes] = []
        self._is_cbor = False

    def _receive(self, event: ResponseDataReceived) -> list[object]:
        if self._is_cbor or (event.is_cbor and not self._parts):
            self._is_cbor = True
            if not event.is_cbor:
                message = "a response in CBOR goes on with raw bytes"
                raise RemoteProtocolError(message, malformed=True)
            return self._decode(event.data)
        if event.data:
            self._parts.append(event.data)
        if not event.end:
            return []
        content = b"".join(self._parts)
        self._parts = []
        return self._decode(content) if event.is_cbor else [RawBytes(content)]


class ItemsReader(ObjectReader):
    """Reads CBOR items and nothing else (0004)."""

    def _receive(self, event: ResponseDataReceived) -> list[object]:
        return self._decode(event.data)


class ResponseReader(ObjectReader):
    """Reads the leading status map, then the objects of the command (0005 and 0006)."""

    _status_seen = False

    def receive_data(self, data: bytes) -> list[object]:
        """Return the objects that ``data`` completes, the status map not among them.

        Raises:
            RemoteProtocolError: As `receive_event`.
        """
        self._count(data)
        return self._read(data)

    def receive_end(self) -> None:
        """Note that the response has ended.

        Raises:
            RemoteProtocolError: It has no status, or ends inside an object.
        """
        if not self._status_seen:
            raise self._incomplete()
        super().receive_end()

    def _receive(self, event: ResponseDataReceived) -> list[object]:
        return self._read(event.data)

    def _read(self, data: bytes) -> list[object]:
        # Known by its bytes, whether it comes alone or in front of objects.
        if not self._status_seen and data.startswith(_OK) and not self._items.held:
            self._status_seen = True
            data = data[len(_OK) :]
        # Servers send the status in a frame of its own, and mostly end with an empty one.
        if not data:
            return []
        values = self._decode(data)
        # The first item is the status, in whichever event it ends.
        if values and not self._status_seen:
            self._status_seen = True
            self._read_status(values.pop(0))
        return values

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


NOTHING: Final = object()
"""Stands for no object, where None would be one."""


def only_object(data: bytes, dialect: Dialect, limits: Limits) -> object:
    """Return the object of a response that is whole, succeeded and has exactly one plain object.

    Nearly all responses are such. A reader takes 2 us for them, this 0.2 for a byte string of less
    than 256 bytes, and 0.8 for a short list.

    Args:
        data: The content of the whole response.
        dialect: The dialect in which it was sent.
        limits: Depth and element count of the object.

    Returns:
        The object; `NOTHING` for any other response, which a reader must read.
    """
    if dialect.response not in _WITH_STATUS or not data.startswith(_OK):
        return NOTHING
    item = data[len(_OK) :]
    size = len(item)
    if size > 1:
        # Text and nodes, without a decoder.
        first = item[0]
        if first == _SHORT_STRING + size - 1 and size <= _SHORT:
            return item[1:]
        if first == _STRING and size == item[1] + 2:
            return item[2:]
    if not size or not limits.cbor_elements >= plain_size(item) == size <= limits.cbor_containers:
        return NOTHING
    try:
        return decode_all(item, dialect.cbor, limits)[0]
    except CborError:
        return NOTHING  # the reader words the error


_WITH_STATUS: Final = frozenset({ResponseForm.STATUS_MAP, ResponseForm.OBJECTS})
_SHORT: Final = 24
"""The size of the largest byte string with a head of one octet, that included."""
_SHORT_STRING: Final = 0x40
_STRING: Final = 0x58
"""First octets of byte strings: with the size in it, and with the size in the next octet."""

_READERS: Final[dict[ResponseForm, type[ObjectReader]]] = {
    ResponseForm.TEXT: WholeReader,
    ResponseForm.BYTES_OR_CBOR: WholeReader,
    ResponseForm.CBOR: ItemsReader,
    ResponseForm.STATUS_MAP: ResponseReader,
    ResponseForm.OBJECTS: ResponseReader,
}


def response_reader(
    dialect: Dialect, limits: Limits, *, size_limit: int | None = None
) -> ObjectReader:
    """Return the reader of one response in a dialect; the arguments are those of `ObjectReader`.

    In 0002 a response is one `RawBytes`; in 0003 that, or CBOR items; in 0004 CBOR items; from 0005
    on what follows the status map.
    """
    return _READERS[dialect.response](limits, size_limit=size_limit, rules=dialect.cbor)
