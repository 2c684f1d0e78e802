"""The client's side of a connection, for dialect 0006.

Content of responses is handed on as bytes (`ResponseDataReceived`), decoded from the stream's
content encoding but not from CBOR: who only passes it on need not look inside, and who wants the
objects uses `ResponseReader`.

Source: server-state-machine, section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import (
    ConnectionFailed,
    ProgressReceived,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.protocol.input_streams import CLIENT_SIDE, InputStreams
from wiredaemon.protocol.output import Output, OutputStream
from wiredaemon.protocol.responses import slices
from wiredaemon.protocol.settings import SettingsReceiver
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor import decode_first
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import (
    CONTINUATION,
    DIALECTS,
    EOS,
    REQUEST_CONTINUATION,
    REQUEST_HAVE_DATA,
    REQUEST_MORE,
    REQUEST_NEW,
    FrameType,
)
from wiredaemon.wire.encodings import DECODERS, Identity
from wiredaemon.wire.frames import ENCODED, FrameError, FrameReader
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import format_message, request_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentDecoder
    from wiredaemon.wire.frames import EncodedFrame, Frame
    from wiredaemon.wire.values import Value

_CLIENT_STREAM: Final = 1
_REQUEST_IDS: Final = 1 << 16
_NO_LIMITS_GIVEN: Final = Limits()


class ClientConnection:
    """One connection as the client sees it; for HTTP, one request body and its answer."""

    def __init__(
        self,
        dialect: Dialect = DIALECTS["0006"],
        *,
        content_encodings: Sequence[bytes] = (),
        limits: Limits = _NO_LIMITS_GIVEN,
    ) -> None:
        """Begin with nothing sent.

        Args:
            dialect: 0006.
            content_encodings: Profiles to offer, the most preferred first; none sends no settings,
                which the server takes for ``identity``.
            limits: What the server may make us hold.
        """
        self._dialect = dialect
        self._limits = limits
        self._content_encodings = content_encodings
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        self._input_streams = InputStreams(CLIENT_SIDE)
        self._decoders: dict[int, ContentDecoder] = {}
        self._settings: dict[int, SettingsReceiver] = {}
        self._failed = False
        self._active: set[int] = set()
        self._sending: set[int] = set()
        """Requests whose data is not complete."""
        self._next_id = 1
        self._output = Output()
        self._stream = OutputStream(_CLIENT_STREAM, dialect, self._output, None)

    # --- out ---------------------------------------------------------------------------------

    @property
    def active(self) -> frozenset[int]:
        """Requests that are not answered."""
        return frozenset(self._active)

    def send_command(
        self,
        name: bytes,
        arguments: Mapping[bytes, Value],
        *,
        has_data: bool = False,
        redirect: Value = None,
        extra: Mapping[bytes, Value] | None = None,
    ) -> int:
        """Send a command request and give its id: 1, 3, 5, ..., and over again when free.

        Args:
            name: The command.
            arguments: Left out on the wire when empty.
            has_data: `send_data` will follow, at least once.
            redirect: What redirect targets can be followed, if the server knows any.
            extra: Further keys of the request map.

        Raises:
            LocalProtocolError: The connection has failed, or all ids are in use.
            UnencodableError: An argument has no form on the wire.
        """
        if self._failed:
            message = "cannot issue new commands: the connection has failed"
            raise LocalProtocolError(message)
        more = dict(extra or {})
        if redirect is not None:
            more[b"redirect"] = redirect
        content = cbor.encode(request_map(name, arguments, more), self._dialect.cbor.key_order)
        request_id = self._allocate()
        self._send_settings_once(request_id)
        payloads = list(slices(content))
        flags = REQUEST_NEW | (REQUEST_HAVE_DATA if has_data else 0)
        for payload in payloads[:-1]:
            self._send(request_id, FrameType.COMMAND_REQUEST, flags | REQUEST_MORE, payload)
            flags = flags & ~REQUEST_NEW | REQUEST_CONTINUATION
        self._send(request_id, FrameType.COMMAND_REQUEST, flags, payloads[-1])
        self._active.add(request_id)
        if has_data:
            self._sending.add(request_id)
        return request_id

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send command data; with ``end`` its last piece, which may be empty.

        Raises:
            LocalProtocolError: The request does not send data, or not any more.
        """
        if request_id not in self._sending:
            message = f"request {request_id} does not send data"
            raise LocalProtocolError(message)
        payloads = list(slices(data))
        if end:
            self._sending.discard(request_id)
            last = payloads.pop() if payloads else b""
            for payload in payloads:
                self._send(request_id, FrameType.COMMAND_DATA, CONTINUATION, payload)
            self._send(request_id, FrameType.COMMAND_DATA, EOS, last)
            return
        for payload in payloads:
            self._send(request_id, FrameType.COMMAND_DATA, CONTINUATION, payload)

    def data_to_send(self) -> list[EncodedFrame]:
        """Give the frames to send; they are then the caller's."""
        return self._output.take()

    def _send(self, request_id: int, kind: FrameType, flags: int, payload: bytes) -> None:
        self._stream.send(request_id, kind, flags, payload)

    def _send_settings_once(self, request_id: int) -> None:
        if not self._content_encodings:
            return
        settings: Value = {b"contentencodings": list(self._content_encodings)}
        payload = cbor.encode(settings, self._dialect.cbor.key_order)
        self._send(request_id, FrameType.SENDER_PROTOCOL_SETTINGS, EOS, payload)
        self._content_encodings = ()

    def _allocate(self) -> int:
        for _ in range(_REQUEST_IDS // 2):
            request_id = self._next_id
            self._next_id = (self._next_id + 2) % _REQUEST_IDS
            if request_id not in self._active and request_id not in self._sending:
                return request_id
        message = "all request ids are in use"
        raise LocalProtocolError(message)

    # --- in ----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take bytes in any cuts and give what they say.

        A server's mistake never raises: the last event is then a `ConnectionFailed`, and nothing
        that comes later is looked at.
        """
        events: list[ClientEvent] = []
        if self._failed:
            return events
        try:
            for frame in self._reader.receive_data(data):
                events += self._receive_frame(frame)
        except FrameError as error:
            events.append(self._fail(RemoteProtocolError(str(error), malformed=True)))
        except RemoteProtocolError as error:
            events.append(self._fail(error))
        return events

    def receive_end(self) -> list[ClientEvent]:
        """Say that no more input follows; a request without its answer fails the connection."""
        if self._failed:
            return []
        try:
            self._reader.receive_end()
        except FrameError as error:
            return [self._fail(RemoteProtocolError(str(error), malformed=True))]
        if not self._active:
            return []
        message = f"input ended before the response to request {min(self._active)}"
        return [self._fail(RemoteProtocolError(message, malformed=True))]

    def _fail(self, error: RemoteProtocolError) -> ConnectionFailed:
        self._failed = True
        return ConnectionFailed(error=error)

    def _receive_frame(self, frame: Frame) -> list[ClientEvent]:
        self._input_streams.receive_frame(frame)
        payload = frame.payload
        if frame.stream_flags & ENCODED:
            payload = self._decoders.get(frame.stream_id, _IDENTITY).decode(payload)
        self._input_streams.end_where_flagged(frame)
        kind = self._dialect.types.get(frame.type_number)
        if kind is FrameType.STREAM_SETTINGS:
            self._receive_stream_settings(frame)
        if not self._input_streams.is_open(frame.stream_id):
            # The next stream of this id begins without settings.
            self._decoders.pop(frame.stream_id, None)
            self._settings.pop(frame.stream_id, None)
        if kind is FrameType.STREAM_SETTINGS:
            return []
        if frame.request_id not in self._active:
            message = f"received frame for inactive request ID: {frame.request_id}"
            raise RemoteProtocolError(message)
        match kind:
            case FrameType.COMMAND_RESPONSE:
                return self._receive_response(frame, payload)
            case FrameType.ERROR_RESPONSE:
                return self._receive_error(frame.request_id, payload)
            case FrameType.TEXT_OUTPUT:
                text = _format_atoms(self._decode(payload, "text-output"))
                return [TextOutputReceived(request_id=frame.request_id, text=text)]
            case FrameType.PROGRESS:
                return [self._read_progress(frame.request_id, payload)]
            case _:
                message = f"unhandled frame type: {frame.type_number}"
                raise RemoteProtocolError(message)

    def _receive_response(self, frame: Frame, payload: bytes) -> list[ClientEvent]:
        # Neither flag is required, and both together end the response (section 2.3).
        end = bool(frame.flags & EOS)
        if end:
            self._active.discard(frame.request_id)
        return [ResponseDataReceived(request_id=frame.request_id, data=payload, end=end)]

    def _receive_error(self, request_id: int, payload: bytes) -> list[ClientEvent]:
        content = self._decode(payload, "error-response")
        kind = content.get(b"type") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(kind, bytes):
            message = "error-response frame without a type"
            raise RemoteProtocolError(message, malformed=True)
        self._active.discard(request_id)
        text = _format_atoms(content.get(b"message"))
        return [RequestFailed(request_id=request_id, kind=kind, message=text)]

    def _read_progress(self, request_id: int, payload: bytes) -> ProgressReceived:
        content = self._decode(payload, "progress")
        match content:
            case {b"topic": bytes() as topic, b"pos": int() as position, **rest}:
                total, label, item = rest.get(b"total"), rest.get(b"label"), rest.get(b"item")
                return ProgressReceived(
                    request_id=request_id,
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

    def _receive_stream_settings(self, frame: Frame) -> None:
        receiver = self._settings.get(frame.stream_id)
        if receiver is None:
            receiver = SettingsReceiver(
                "stream encoding settings frame", self._dialect, self._limits
            )
            self._settings[frame.stream_id] = receiver
        items = receiver.receive_frame(frame)
        if items is None:
            return
        del self._settings[frame.stream_id]
        if not self._input_streams.is_open(frame.stream_id):
            message = f"error setting stream decoder: {frame.stream_id}"
            raise RemoteProtocolError(message)
        self._decoders[frame.stream_id] = _make_decoder(items)


_IDENTITY: Final = Identity()


def _make_decoder(items: list[object]) -> ContentDecoder:
    """Give the decoder that stream settings ask for."""
    name, extra = items[0], items[1:]
    shown = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else repr(name)
    make = DECODERS.get(name) if isinstance(name, bytes) else None
    if make is None:
        message = f"error setting stream decoder: unknown stream decoder: {shown}"
        raise RemoteProtocolError(message)
    if extra:
        subject = shown.replace("-", "")
        message = (
            f"error setting stream decoder: {subject} decoder received unexpected additional values"
        )
        raise RemoteProtocolError(message)
    return make()


def _format_atoms(atoms: object) -> bytes:
    """Format and join text atoms (framing, section 8); what is none counts as no text."""
    texts: list[bytes] = []
    for atom in atoms if isinstance(atoms, list) else [{b"msg": atoms}]:
        match atom:
            case {b"msg": bytes() as message}:
                given = atom.get(b"args", [])
                arguments = given if isinstance(given, list) else []
                texts.append(
                    format_message(message, [arg for arg in arguments if isinstance(arg, bytes)])
                )
    return b"".join(texts)
