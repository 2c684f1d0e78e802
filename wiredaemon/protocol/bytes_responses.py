"""Responses of dialects 0002 to 0004: one byte string, in slices.

Source: framing, section 6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.responses import Response
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import CONTINUATION, EOS, RESPONSE_CBOR, FrameType, ResponseForm
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.values import RawBytes, UnencodableError

if TYPE_CHECKING:
    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_TEXT, _CBOR, _BYTES_OR_CBOR = ResponseForm.TEXT, ResponseForm.CBOR, ResponseForm.BYTES_OR_CBOR
"""Compared for each object: to find a member in its enumeration takes 0.05 us."""


def bytes_form(value: Value, dialect: Dialect) -> tuple[bytes, int]:
    """Return the bytes of a value and the flags that mark them as raw bytes or CBOR.

    Raises:
        UnencodableError: The value has no form in the dialect.
    """
    form = dialect.response
    if isinstance(value, RawBytes) and form is not _CBOR:
        return value.data, 0
    if form is _TEXT:
        if isinstance(value, bytes):
            return value, 0
        message = f"a value of type {type(value).__name__} has no text form"
        raise UnencodableError(message)
    flags = RESPONSE_CBOR if form is _BYTES_OR_CBOR else 0
    return cbor.encode(value, dialect.cbor.key_order), flags


class BytesResponse(Response):
    """A byte string in slices, each of which but the last has the flag that more follow."""

    kind = FrameType.BYTES_RESPONSE

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        """The last slice so far, held until it is known whether another follows."""
        self._flags: int | None = None

    def send_object(self, value: Value) -> None:
        """Send all slices but the last one, which is held until it is known whether more follow."""
        data, flags = bytes_form(value, self._dialect)
        if self._flags not in (None, flags):
            message = "raw bytes and other values cannot be mixed in one result"
            raise UnencodableError(message)
        self._flags = flags
        if len(self._held) == SENT_PAYLOAD and data:
            # A full slice with more after it is sent as it is, without a copy.
            self._begun = True
            self._send(CONTINUATION | flags, self._held)
        elif self._held:
            data = self._held + data
        start = 0
        while len(data) - start > SENT_PAYLOAD:
            self._begun = True
            self._send(CONTINUATION | flags, data[start : start + SENT_PAYLOAD])
            start += SENT_PAYLOAD
        self._held = data[start:] if start else data

    def send_held(self) -> None:
        """Send the slice that is held; the last one may be empty then."""
        if self._held:
            self._begun = True
            self._send(CONTINUATION | (self._flags or 0), self._held)
            self._held = b""

    def end(self) -> None:
        """Send the last slice."""
        self._send(EOS | (self._flags or 0), self._held)
