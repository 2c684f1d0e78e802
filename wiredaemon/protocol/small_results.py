"""Small results: nearly all results, whose frames are made at once.

The frames are those of a `Response` that is begun, sends the value and is ended; the functions here
leave out the object that would keep the state between these steps.

Source: framing, section 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from wiredaemon.protocol.bytes_responses import bytes_form
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import CONTINUATION, DIALECTS, EOS, FrameType, ResponseForm
from wiredaemon.wire.frames import ENCODED, HEADER_SIZE, pack_header
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import OK_MAP
from wiredaemon.wire.values import Encoded, IndefiniteBytes, RawBytes, Recorded, Redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.protocol.output import OutputStream, OutputStreams
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

SmallResult: TypeAlias = "Callable[[int, Value, OutputStreams, Dialect], bool]"
"""Sends the whole response of a request, or returns False and has sent nothing.

Raises `UnencodableError` for a value without a form, and `LocalProtocolError` where every stream
is held.
"""

_SMALL_OBJECT: Final = SENT_PAYLOAD // 2
"""Bytes of an object that fits one frame, however badly an encoding compresses it."""

_NEVER_SMALL: Final = frozenset({IndefiniteBytes, Encoded, Recorded, Redirect})
"""Types whose values are not one CBOR item. A set, because a look-up in it takes a tenth of the
time of ``isinstance`` with a union of types."""

_COMMAND_RESPONSE = FrameType.COMMAND_RESPONSE
_CBOR: Final = ResponseForm.CBOR
"""Compared for each response: to find a member in its enumeration takes 0.05 us."""
# The numbers are those of all dialects that have these frames.
_BYTES_KIND: Final = DIALECTS["0003"].numbers[FrameType.BYTES_RESPONSE] << 4 | EOS
"""Type and flags of the only response frame of 0002 to 0004."""
_RESPONSE_KIND: Final = DIALECTS["0006"].numbers[FrameType.COMMAND_RESPONSE] << 4
_FIRST_KIND: Final = _RESPONSE_KIND | CONTINUATION
_LAST_KIND: Final = _RESPONSE_KIND | EOS
"""Type and flags of the response frames of 0005 and 0006."""
# The bytes of a response of 0006 besides its object: three headers and the ok map.
_FIXED_SIZE: Final = 3 * HEADER_SIZE + len(OK_MAP)


def _send_bytes(request_id: int, value: Value, streams: OutputStreams, dialect: Dialect) -> bool:
    """Send one slice (0002 to 0004)."""
    if type(value) is RawBytes and dialect.response is not _CBOR:
        data, flags = value.data, 0
    else:
        data, flags = bytes_form(value, dialect)
    if len(data) > SENT_PAYLOAD:
        return False
    _send_frame(request_id, _BYTES_KIND | flags, data, streams, dialect)
    return True


def _send_status_map(
    request_id: int, value: Value, streams: OutputStreams, dialect: Dialect
) -> bool:
    """Send the ok map and the value in one frame (0005)."""
    content = OK_MAP + cbor.encode(value, dialect.cbor.key_order)
    if len(content) > SENT_PAYLOAD:
        return False
    _send_frame(request_id, _LAST_KIND, content, streams, dialect)
    return True


def _send_frame(
    request_id: int, kind: int, payload: bytes, streams: OutputStreams, dialect: Dialect
) -> None:
    """Send the only frame of a response; ``kind`` is the octet of type and flags."""
    stream = streams.free[-1] if streams.free else streams.borrow()
    stream_flags = stream.plain_flags
    if stream_flags is None:
        stream.send(request_id, dialect.types[kind >> 4], kind & 0x0F, payload)
        if dialect.restarts_streams:
            stream.restart()
        return
    size = len(payload)
    output = streams.output
    output.parts += (
        pack_header(size, 0, request_id, stream.stream_id, stream_flags, kind),
        payload,
    )
    output.size += HEADER_SIZE + size


def _send_objects(request_id: int, value: Value, streams: OutputStreams, dialect: Dialect) -> bool:
    """Send the ok map, the object and the end (0006)."""
    if type(value) in _NEVER_SMALL:
        return False
    content = cbor.encode(value, dialect.cbor.key_order)
    size = len(content)
    if size >= _SMALL_OBJECT:
        return False
    stream = streams.free[-1] if streams.free else streams.borrow()
    flags = stream.plain_flags
    if flags is None:
        _send_on(stream, request_id, content)
        return True
    # All but the first answer of a connection without compression come here. Putting the three
    # frames together here, and not by `OutputStream.send` each, takes 0.6 us instead of 1.5.
    stream_id, output = stream.stream_id, streams.output
    output.parts += (
        pack_header(len(OK_MAP), 0, request_id, stream_id, flags, _FIRST_KIND),
        OK_MAP,
        pack_header(size, 0, request_id, stream_id, flags, _FIRST_KIND),
        content,
        pack_header(0, 0, request_id, stream_id, 0, _LAST_KIND),
        b"",
    )
    output.size += _FIXED_SIZE + size
    return True


def send_whole(request_id: int, value: Value, streams: OutputStreams, dialect: Dialect) -> bool:
    """Send the ok map, the object and the end in one frame, to a client in a session.

    Three frames take a client three times as long to read. Who is in no session gets them, as from
    Mercurial.

    Source: sessions, section 6.
    """
    stream = streams.free[-1] if streams.free else streams.borrow()
    flags = stream.plain_flags
    if flags is None or type(value) in _NEVER_SMALL:
        return _send_objects(request_id, value, streams, dialect)
    content = OK_MAP + cbor.encode(value, dialect.cbor.key_order)
    size = len(content)
    if size >= _SMALL_OBJECT:
        return False
    output = streams.output
    output.parts += (
        pack_header(size, 0, request_id, stream.stream_id, flags, _LAST_KIND),
        content,
    )
    output.size += HEADER_SIZE + size
    return True


def _send_on(stream: OutputStream, request_id: int, content: bytes) -> None:
    """Send the settings if they are due, the ok map, the object and the end."""
    stream.send_settings_once(request_id)
    send, encoder = stream.send, stream.encoder
    kind = _COMMAND_RESPONSE
    if encoder is None or stream.is_identity:
        encoded = ENCODED if stream.settings_sent else 0
        send(request_id, kind, CONTINUATION, OK_MAP, encoded)
        send(request_id, kind, CONTINUATION, content, encoded)
        send(request_id, kind, EOS, b"")
        return
    # Each piece through the encoder by itself, as `ObjectsResponse` does: the frames are the same.
    first = encoder.encode(OK_MAP)
    if first:
        send(request_id, kind, CONTINUATION, first, ENCODED)
    held = encoder.encode(content)
    if held:
        send(request_id, kind, CONTINUATION, held, ENCODED)
    rest = encoder.flush()
    send(request_id, kind, EOS, rest, ENCODED if rest else 0)


SMALL_RESULTS: Final[Mapping[ResponseForm, SmallResult]] = {
    ResponseForm.TEXT: _send_bytes,
    ResponseForm.BYTES_OR_CBOR: _send_bytes,
    ResponseForm.CBOR: _send_bytes,
    ResponseForm.STATUS_MAP: _send_status_map,
    ResponseForm.OBJECTS: _send_objects,
}
