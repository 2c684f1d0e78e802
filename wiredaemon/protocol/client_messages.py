"""Frames of servers besides the content of responses: errors, text output and progress.

Source: framing, sections 7 to 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import ProgressReceived, RequestFailed, TextOutputReceived
from wiredaemon.wire.cbor import decode_first
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import ERROR_PROTOCOL, ErrorForm, ResponseForm
from wiredaemon.wire.payloads import PayloadError, format_atom, read_text_atoms

if TYPE_CHECKING:
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits


class MessageReader:
    """Reads the payloads of such frames, decoded from the content encoding.

    Each method raises `RemoteProtocolError` for a payload that is not in the dialect's form.
    """

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        """Parse frames of one dialect."""
        self._dialect = dialect
        self._limits = limits

    def read_error(self, frame: Frame) -> RequestFailed:
        """Read an ``error-response`` frame: text up to 0004, then a map of type and atoms."""
        if self._dialect.error is ErrorForm.TEXT:
            kind = b"protocol" if frame.flags & ERROR_PROTOCOL else b"application"
            return RequestFailed(request_id=frame.request_id, kind=kind, message=frame.payload)
        match self._decode(frame.payload, "error-response"):
            case {b"type": bytes() as kind, **rest}:
                text = _join_atoms(rest.get(b"message"))
                return RequestFailed(request_id=frame.request_id, kind=kind, message=text)
            case _:
                message = "error-response frame without a type"
                raise RemoteProtocolError(message, malformed=True)

    def read_text(self, frame: Frame) -> TextOutputReceived:
        """Read a ``text-output`` frame: binary atoms in 0002, then CBOR."""
        if self._dialect.response is ResponseForm.TEXT:
            text = _join_binary_atoms(frame.payload)
        else:
            text = _join_atoms(self._decode(frame.payload, "text-output"))
        return TextOutputReceived(request_id=frame.request_id, text=text)

    def read_progress(self, frame: Frame) -> ProgressReceived:
        """Read a ``progress`` frame: a map, of which topic and position must be there."""
        match self._decode(frame.payload, "progress"):
            case {b"topic": bytes() as topic, b"pos": int() as position, **rest}:
                total, label, item = rest.get(b"total"), rest.get(b"label"), rest.get(b"item")
                return ProgressReceived(
                    request_id=frame.request_id,
                    topic=topic,
                    position=position,
                    total=total if isinstance(total, int) else None,
                    label=label if isinstance(label, bytes) else None,
                    item=item if isinstance(item, bytes) else None,
                )
            case _:
                message = "progress frame without topic and pos"
                raise RemoteProtocolError(message, malformed=True)

    def _decode(self, payload: bytes, name: str) -> object:
        try:
            return decode_first(payload, self._dialect.cbor, self._limits)
        except CborError as error:
            message = f"error decoding CBOR from {name} frame: {error}"
            raise RemoteProtocolError(message, malformed=True) from error


def _join_atoms(atoms: object) -> bytes:
    """Format and join atoms; a byte string in place of their array counts as a message."""
    return b"".join(map(format_atom, atoms if isinstance(atoms, list) else [{b"msg": atoms}]))


def _join_binary_atoms(payload: bytes) -> bytes:
    try:
        return b"".join(map(format_atom, read_text_atoms(payload)))
    except PayloadError as error:
        raise RemoteProtocolError(str(error), malformed=True) from error
