"""Responses: how a command's objects become frames in each era.

One response object lives from the first thing said about a request to its last frame.

Source: framing, sections 6 and 7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from wiredaemon.wire import cbor
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.dialects import (
    CONTINUATION,
    EOS,
    ERROR_APPLICATION,
    RESPONSE_CBOR,
    ErrorForm,
    FrameType,
    ResponseForm,
)
from wiredaemon.wire.encodings import Identity
from wiredaemon.wire.frames import ENCODED, END
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import (
    OK_MAP,
    error_map,
    error_response,
    format_message,
    redirect_map,
)
from wiredaemon.wire.values import Encoded, IndefiniteBytes, RawBytes, Recorded, Redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentEncoder
    from wiredaemon.wire.values import Value

_WORTH_A_THREAD: Final = 65536
"""Bytes of an object from which its content encoding is left to a thread."""
_SMALL_OBJECT: Final = SENT_PAYLOAD // 2
"""Bytes of an object that fits one frame, however badly it compresses."""
LONGEST_MESSAGE: Final = 8192
"""Bytes of an error text that are sent; an error frame cannot be split."""


class MisplacedError(UnencodableError):
    """A value cannot be sent where it stands in its response; peers may read why."""


def slices(data: bytes) -> Iterator[bytes]:
    """Cut data into payloads; no data gives none."""
    for start in range(0, len(data), SENT_PAYLOAD):
        yield data[start : start + SENT_PAYLOAD]


class EncodingWork:
    """The content encoding of one large object: may be done in any thread.

    Until it is done, nothing else may be sent for its request but text and progress.
    """

    __slots__ = ("_encoder", "_pieces", "encoded", "is_part")

    def __init__(
        self, encoder: ContentEncoder, pieces: Sequence[bytes], *, is_part: bool = False
    ) -> None:
        """Encode pieces with the encoder of their stream."""
        self._encoder = encoder
        self._pieces = pieces
        self.is_part = is_part
        """Where its objects end is not known."""
        self.encoded: list[bytes] = []
        """What each piece brought out, once it is done."""

    def run(self) -> None:
        """Do it."""
        encode = self._encoder.encode
        self.encoded = [encode(piece) for piece in self._pieces]


class Response(ABC):
    """What is sent about one request."""

    kind: ClassVar[FrameType]

    @staticmethod
    @abstractmethod
    def whole(dialect: Dialect, value: Value) -> tuple[int, bytes] | None:
        """Give the flags and the content of a result for `send_whole`, or None if it is too large.

        Raises:
            UnencodableError: The value has no form.
        """

    @staticmethod
    @abstractmethod
    def send_whole(request_id: int, stream: OutputStream, whole: tuple[int, bytes]) -> None:
        """Send all that a small result needs: what nearly every request is answered with.

        The same frames as those of a response that is begun, sent a value and ended.
        """

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent; ``stream`` is this response's alone until it ends."""
        self.request_id = request_id
        self.stream = stream
        self._dialect = dialect
        self._begun = False
        """A frame that leads a result was sent."""

    @abstractmethod
    def send_object(self, value: Value) -> None:
        """Send the next of several objects.

        Raises:
            UnencodableError: The value has no form; nothing of it was sent.
        """

    def send_in_steps(self, value: Value) -> Iterator[None]:
        """Send an object as `send_object` does, and stop whenever a frame of it is ready."""
        self.send_object(value)
        yield

    def encoding_work(self, value: Value) -> EncodingWork | None:  # noqa: ARG002 dialects without encodings
        """Give the content encoding of a large object as work for a thread; None: just send it.

        Raises:
            UnencodableError: The value has no form; nothing of it was sent.
        """
        return None

    def send_encoded(self, work: EncodingWork) -> None:
        """Send an object whose content encoding was done as work."""
        raise NotImplementedError

    def send_result(self, value: Value) -> None:
        """Send the only object.

        Raises:
            UnencodableError: The value has no form; nothing was sent.
        """
        self.send_object(value)
        self.end()

    @abstractmethod
    def end(self) -> None:
        """Send the last frame."""

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with a command's documented failure (a "command error").

        Args:
            message: printf-style format.
            arguments: For its ``%s``.
        """
        match self._dialect.error:
            case ErrorForm.TEXT:
                self._send_error_text(format_message(message, arguments))
            case ErrorForm.STATUS_MAP if self._begun:
                self._send_error_response(b"command", format_message(message, arguments))
            case ErrorForm.STATUS_MAP | ErrorForm.STATUS_MAP_OR_FRAME:
                self._send_error_map(message, arguments)

    def send_server_error(self, text: bytes) -> None:
        """End with any other failure."""
        match self._dialect.error:
            case ErrorForm.TEXT:
                self._send_error_text(text)
            case ErrorForm.STATUS_MAP if not self._begun:
                self._send_error_map(text.replace(b"%", b"%%"), ())
            case ErrorForm.STATUS_MAP | ErrorForm.STATUS_MAP_OR_FRAME:
                self._send_error_response(b"server", text)

    def _send_error_text(self, text: bytes) -> None:
        self._send(ERROR_APPLICATION, text[:LONGEST_MESSAGE], kind=FrameType.ERROR_RESPONSE)

    def _send_error_map(self, message: bytes, arguments: Sequence[bytes]) -> None:
        if len(message) + sum(map(len, arguments)) > LONGEST_MESSAGE:
            message = format_message(message, arguments)[: LONGEST_MESSAGE // 2]
            message, arguments = message.replace(b"%", b"%%"), ()
        self._send(EOS, self._encode(error_map(message, arguments)))

    def _send_error_response(self, kind: bytes, text: bytes) -> None:
        payload = self._encode(error_response(kind, text[:LONGEST_MESSAGE]))
        self._send(0, payload, kind=FrameType.ERROR_RESPONSE)

    def _encode(self, value: Value) -> bytes:
        return cbor.encode(value, self._dialect.cbor.key_order)

    def _send(
        self,
        flags: int,
        payload: bytes,
        *,
        kind: FrameType | None = None,
        stream_flags: int = 0,
    ) -> None:
        self.stream.send(self.request_id, kind or self.kind, flags, payload, stream_flags)


class BytesResponse(Response):
    """One byte string, in slices; all but the last say that more follows (0002 to 0004)."""

    kind = FrameType.BYTES_RESPONSE

    @staticmethod
    def whole(dialect: Dialect, value: Value) -> tuple[int, bytes] | None:
        """Give one slice, if it is only one."""
        if type(value) is RawBytes and dialect.response is not ResponseForm.CBOR:
            data, flags = value.data, 0
        else:
            data, flags = _bytes_form(dialect, value)
        return (EOS | flags, data) if len(data) <= SENT_PAYLOAD else None

    @staticmethod
    def send_whole(request_id: int, stream: OutputStream, whole: tuple[int, bytes]) -> None:
        """Send that slice."""
        stream.send(request_id, FrameType.BYTES_RESPONSE, *whole)

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        """Not sent yet, because it is not known whether it is the end."""
        self._flags: int | None = None

    def send_object(self, value: Value) -> None:
        """Hold the last slice back, send those before it."""
        data, flags = _bytes_form(self._dialect, value)
        if self._flags not in (None, flags):
            message = "raw bytes and other values cannot be mixed in one result"
            raise UnencodableError(message)
        self._flags = flags
        if len(self._held) == SENT_PAYLOAD and data:
            # Known by now not to be the last: sent as it is, and nothing is copied.
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

    def end(self) -> None:
        """Send the last slice."""
        self._send(EOS | (self._flags or 0), self._held)


def _bytes_form(dialect: Dialect, value: Value) -> tuple[bytes, int]:
    """Give the bytes and flags of a value in dialects 0002 to 0004."""
    form = dialect.response
    if isinstance(value, RawBytes) and form is not ResponseForm.CBOR:
        return value.data, 0
    if form is ResponseForm.TEXT:
        if isinstance(value, bytes):
            return value, 0
        message = f"a value of type {type(value).__name__} has no text form"
        raise UnencodableError(message)
    flags = RESPONSE_CBOR if form is ResponseForm.BYTES_OR_CBOR else 0
    return cbor.encode(value, dialect.cbor.key_order), flags


class StatusMapResponse(Response):
    """The ok map and CBOR, together if they fit one frame (0005)."""

    kind = FrameType.COMMAND_RESPONSE

    @staticmethod
    def whole(dialect: Dialect, value: Value) -> tuple[int, bytes] | None:
        """Give the map and the value, if they fit one frame together."""
        content = OK_MAP + cbor.encode(value, dialect.cbor.key_order)
        return (EOS, content) if len(content) <= SENT_PAYLOAD else None

    @staticmethod
    def send_whole(request_id: int, stream: OutputStream, whole: tuple[int, bytes]) -> None:
        """Send that frame."""
        stream.send(request_id, FrameType.COMMAND_RESPONSE, *whole)

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        self._sent_data = False

    def send_result(self, value: Value) -> None:
        """Send the map and the value apart: they do not fit one frame."""
        data = self._encode(value)
        self._begin()
        payloads = list(slices(data))
        for payload in payloads[:-1]:
            self._send(CONTINUATION, payload)
        self._send(EOS, payloads[-1])

    def send_object(self, value: Value) -> None:
        """Send the map alone at first, and full frames as they come."""
        data = self._held + self._encode(value)
        self._begin()
        start = 0
        while len(data) - start >= SENT_PAYLOAD:
            self._send_data(data[start : start + SENT_PAYLOAD])
            start += SENT_PAYLOAD
        self._held = data[start:]

    def end(self) -> None:
        """Send what is held and an empty frame."""
        self._begin()
        if self._held:
            self._send_data(self._held)
            self._held = b""
        self._send(EOS if self._sent_data else EOS | CONTINUATION, b"")

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._send(CONTINUATION, OK_MAP)

    def _send_data(self, payload: bytes) -> None:
        self._send(CONTINUATION if self._sent_data else 0, payload)
        self._sent_data = True


def is_worth_a_thread(value: Value) -> bool:
    """Say whether encoding a value's content would hold the reactor up for a millisecond or so."""
    return _content_size(value) >= _WORTH_A_THREAD


def _content_size(value: object) -> int:
    """Give about how many bytes a value has; chunks that come from a command count as none."""
    match value:
        case bytes() | str():
            return len(value)
        case RawBytes():
            return len(value.data)
        case Encoded():
            return sum(map(len, value.parts))
        case dict():
            return sum(map(_content_size, value.values())) + 8 * len(value)
        case list() | tuple() | set() | frozenset():
            return sum(map(_content_size, value)) + len(value)
    return 0


def _is_large(value: Value) -> bool:
    """Say whether a value, which has a form for sure, is known not to fit a frame with others."""
    return type(value) is bytes and len(value) >= SENT_PAYLOAD


_NEVER_WHOLE: Final = frozenset({IndefiniteBytes, Encoded, Recorded, Redirect})
"""Asked for each answer: a set is looked at ten times as fast as a union of types."""


class ObjectsResponse(Response):
    """The ok map, then objects coalesced by pieces and content encoded (0006)."""

    kind = FrameType.COMMAND_RESPONSE

    @staticmethod
    def whole(dialect: Dialect, value: Value) -> tuple[int, bytes] | None:
        """Give the object, if its pieces would be coalesced into one frame."""
        if type(value) in _NEVER_WHOLE:
            return None
        content = cbor.encode(value, dialect.cbor.key_order)
        return (CONTINUATION, content) if len(content) < _SMALL_OBJECT else None

    @staticmethod
    def send_whole(request_id: int, stream: OutputStream, whole: tuple[int, bytes]) -> None:
        """Send the settings if they are due, the ok map, the object and the end."""
        if not stream.settings_sent:
            stream.send_settings_once(request_id)
        flags, content = whole
        send, encoder = stream.send, stream.encoder
        kind = FrameType.COMMAND_RESPONSE
        if encoder is None or isinstance(encoder, Identity):
            encoded = ENCODED if stream.settings_sent else 0
            send(request_id, kind, CONTINUATION, OK_MAP, encoded)
            send(request_id, kind, flags, content, encoded)
            send(request_id, kind, EOS, b"")
            return
        first = encoder.encode(OK_MAP)
        if first:
            send(request_id, kind, CONTINUATION, first, ENCODED)
        held = encoder.encode(content)
        if held:
            send(request_id, kind, flags, held, ENCODED)
        rest = encoder.flush()
        send(request_id, kind, EOS, rest, ENCODED if rest else 0)

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held: list[bytes] = []
        self._held_size = 0
        self._is_cut = False
        """What is held goes on with an object that was sent in part."""
        self._is_inside = False
        """The last thing sent may be a part of an object: it failed while its pieces were made, or
        came encoded."""
        self._is_redirect = False
        """Nothing may follow."""

    @property
    def has_begun(self) -> bool:
        """Something of its result was sent."""
        return self._begun

    def send_object(self, value: Value) -> None:
        """Coalesce the pieces of one object with those before it."""
        for _ in self.send_in_steps(value):
            pass

    def send_in_steps(self, value: Value) -> Iterator[None]:
        """Do the same, and stop at each frame of an object that takes several."""
        if self._is_redirect:
            raise MisplacedError("object follows alternatelocationresponse")
        if isinstance(value, Redirect):
            self._send_redirect(value)
            return
        if isinstance(value, Recorded):
            raise MisplacedError("a recorded response follows an object")
        if isinstance(value, Encoded):
            self._begin()
            self._pass_on(value.parts)
            return
        if isinstance(value, IndefiniteBytes) or _is_large(value):
            self._begin()
            yield from self._coalesce_pieces(value)
            return
        encoded = self._encode(value)
        self._begin()
        if self._is_identity and len(encoded) + self._held_size < SENT_PAYLOAD:
            # Each piece would have fitted: the same bytes in the same frames.
            self._hold(encoded)
        else:
            yield from self._coalesce_pieces(value)

    def end(self) -> None:
        """Send what is held, and what the content encoding held back."""
        self._begin()
        self._flush()
        payloads = self._flushed_payloads()
        for payload in payloads[:-1]:
            self._send_encoded(payload)
        if payloads:
            self._send(EOS, payloads[-1], stream_flags=ENCODED)
        else:
            self._send(EOS, b"")

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with a command error, behind whole objects; those that are held are dropped."""
        self._settle_encoder()
        if self._is_inside:
            # A status map would be taken for a part of the object.
            self._send_error_response(b"command", format_message(message, arguments))
            return
        if self._is_cut:
            self._flush()
        super().send_error(message, arguments)

    def send_server_error(self, text: bytes) -> None:
        """End with an error frame; objects that are held are dropped."""
        self._settle_encoder()
        super().send_server_error(text)

    def _settle_encoder(self) -> None:
        """Send all that an encoding's context has taken in: later responses go on with it."""
        if not self._begun or self._is_identity:
            return
        self._flush()
        for payload in self._flushed_payloads():
            self._send_encoded(payload)

    def _flushed_payloads(self) -> list[bytes]:
        encoder = self.stream.encoder
        return [] if encoder is None else list(slices(encoder.flush()))

    @property
    def _is_identity(self) -> bool:
        encoder = self.stream.encoder
        return encoder is None or isinstance(encoder, Identity)

    def _begin(self, status: bytes = OK_MAP) -> None:
        if self._begun:
            return
        self._begun = True
        self.stream.send_settings_once(self.request_id)
        encoded = self._through_encoder(status)
        if encoded:
            self._send_encoded(encoded)

    def _send_redirect(self, redirect: Redirect) -> None:
        """Send another status map in place of the ok map."""
        if self._begun:
            raise MisplacedError("alternatelocationresponse seen after initial output object")
        self._begin(self._encode(redirect_map(redirect)))
        # An error behind it is no second status map.
        self._is_redirect = self._is_inside = True

    def encoding_work(self, value: Value) -> EncodingWork | None:
        """Give the content encoding of an object that is worth another thread's time.

        Raises:
            UnencodableError: The value has no form; nothing of it was sent.
        """
        encoder = self.stream.encoder
        if encoder is None or self._is_identity or not is_worth_a_thread(value):
            return None
        if self._is_redirect:
            return None  # `send_object` says what is wrong
        if isinstance(value, Encoded):
            self._begin()
            return EncodingWork(encoder, value.parts, is_part=True)
        pieces = list(cbor.encode_pieces(value, self._dialect.cbor.key_order))
        self._begin()
        return EncodingWork(encoder, pieces)

    def send_encoded(self, work: EncodingWork) -> None:
        """Send the object whose content encoding was done."""
        for _ in self._coalesce(work.encoded):
            pass
        self._is_inside = work.is_part

    def _pass_on(self, parts: Sequence[bytes]) -> None:
        """Send what is encoded already; where its objects end is not known."""
        if self._is_identity:
            self._flush()
            for part in parts:
                for payload in slices(part):
                    self._send_encoded(payload)
        else:
            for _ in self._coalesce(map(self._through_encoder, parts)):
                pass
        self._is_inside = True

    def _coalesce_pieces(self, value: Value) -> Iterator[None]:
        pieces = cbor.encode_pieces(value, self._dialect.cbor.key_order)
        return self._coalesce(self._through_encoder(piece) for piece in pieces)

    def _coalesce(self, encoded_pieces: Iterable[bytes]) -> Iterator[None]:
        held_before, size = self._held_size, 0
        self._is_inside = True
        for encoded in encoded_pieces:
            if not encoded:
                continue
            size += len(encoded)
            if len(encoded) > SENT_PAYLOAD:
                self._flush()
                for payload in slices(encoded):
                    self._send_encoded(payload)
                    yield
                continue
            if len(encoded) + self._held_size >= SENT_PAYLOAD:
                self._flush()
                yield
            self._hold(encoded)
        self._is_inside = False
        if self._held_size < held_before + size:
            self._is_cut = 0 < self._held_size < size

    def _hold(self, encoded: bytes) -> None:
        self._held.append(encoded)
        self._held_size += len(encoded)

    def _flush(self) -> None:
        if self._held:
            self._send_encoded(b"".join(self._held))
            self._held, self._held_size = [], 0

    def _through_encoder(self, data: bytes) -> bytes:
        encoder = self.stream.encoder
        return data if encoder is None else encoder.encode(data)

    def _send_encoded(self, payload: bytes) -> None:
        stream_flags = ENCODED if self.stream.settings_sent else 0
        self._send(CONTINUATION, payload, stream_flags=stream_flags)


class RecordedResponse(Response):
    """A response as it was encoded before, ok map included, on a stream that ends with it (0006).

    What a client decodes is all there: neither settings nor contents of other responses matter.
    """

    kind = FrameType.COMMAND_RESPONSE

    @staticmethod
    def whole(dialect: Dialect, value: Value) -> tuple[int, bytes] | None:  # noqa: ARG004 of Response
        """Give nothing: it is never known to be small."""
        return None

    @staticmethod
    def send_whole(request_id: int, stream: OutputStream, whole: tuple[int, bytes]) -> None:
        """Refuse, for `whole` gives nothing to send."""
        raise NotImplementedError

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent; ``stream`` is for recorded content."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        """Not sent yet, because it is not known whether it is the end."""

    def send_object(self, value: Value) -> None:
        """Send the next part; the last payload is held back."""
        if not isinstance(value, Recorded):
            raise MisplacedError("an object follows a recorded response")
        if not self._begun:
            self._begun = True
            self.stream.send_settings_once(self.request_id)
        for part in value.parts:
            for payload in slices(part):
                if self._held:
                    self._send(CONTINUATION, self._held, stream_flags=ENCODED)
                self._held = payload

    def end(self) -> None:
        """Send the last payload, with which the stream ends too."""
        self._send(EOS, self._held, stream_flags=ENCODED | END)

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with an error frame: a status map would be taken for a part of an object."""
        self._send_error_response(b"command", format_message(message, arguments))

    def _send_error_response(self, kind: bytes, text: bytes) -> None:
        payload = self._encode(error_response(kind, text[:LONGEST_MESSAGE]))
        self._send(0, payload, kind=FrameType.ERROR_RESPONSE, stream_flags=END)


RESPONSES: Final[dict[ResponseForm, type[Response]]] = {
    ResponseForm.TEXT: BytesResponse,
    ResponseForm.BYTES_OR_CBOR: BytesResponse,
    ResponseForm.CBOR: BytesResponse,
    ResponseForm.STATUS_MAP: StatusMapResponse,
    ResponseForm.OBJECTS: ObjectsResponse,
}
