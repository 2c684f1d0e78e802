"""The base of all responses: one object exists from a response's first frame to its last.

The eras are subclasses in modules of their own: `BytesResponse` (0002 to 0004),
`StatusMapResponse` (0005), `ObjectsResponse` and `RecordedResponse` (0006). Small results, which
nearly all are, are sent by ``small_results`` without such an object.

Source: framing, sections 6 and 7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import EOS, ERROR_APPLICATION, ErrorForm, FrameType
from wiredaemon.wire.payloads import error_map, error_response, format_message
from wiredaemon.wire.values import Encoded, RawBytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentEncoder
    from wiredaemon.wire.values import Value

_WORTH_A_THREAD: Final = 65536
"""Bytes of an object from which its content encoding is left to a thread.

zstd encodes that much text in 0.2 to 0.6 ms; passing it to a thread and back costs about 0.05 ms.
"""
LONGEST_MESSAGE: Final = 8192
"""Bytes of an error text that are sent; a quarter of a frame, and an error frame cannot be cut."""


class EncodingWork:
    """The content encoding of one large object, which any thread may do.

    Until it is done, only text and progress may be sent for its request.
    """

    __slots__ = ("_encoder", "_pieces", "encoded", "is_part")

    def __init__(
        self, encoder: ContentEncoder, pieces: Sequence[bytes], *, is_part: bool = False
    ) -> None:
        """Keep pieces for the encoder of their stream."""
        self._encoder = encoder
        self._pieces = pieces
        self.is_part = is_part
        """The pieces may end inside an object."""
        self.encoded: list[bytes] = []
        """The encoder's output for each piece, once the work is done."""

    def run(self) -> None:
        """Encode the pieces."""
        encode = self._encoder.encode
        self.encoded = [encode(piece) for piece in self._pieces]


class Response(ABC):
    """The frames that answer one request."""

    kind: ClassVar[FrameType]

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
        """Return the content encoding of a large object as work for a thread; None for others.

        Raises:
            UnencodableError: The value has no form; nothing of it was sent.
        """
        return None

    def send_result(self, value: Value) -> None:
        """Send the only object of the response, and end it.

        Raises:
            UnencodableError: The value has no form; nothing was sent.
        """
        self.send_object(value)
        self.end()

    @abstractmethod
    def send_held(self) -> None:
        """Send what is held of objects, which more would have joined in the same frame."""

    @abstractmethod
    def end(self) -> None:
        """Send the last frame."""

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with a command's documented failure (a "command error").

        Args:
            message: A printf-style format.
            arguments: The arguments for its ``%s``.
        """
        match self._dialect.error:
            case ErrorForm.TEXT:
                self._send_error_text(format_message(message, arguments))
            # After the ok map a second status map would be read as a part of the result.
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

    def send_error_frame(self, kind: bytes, text: bytes) -> None:
        """End with an error-response frame of 0005 and 0006, whatever was sent before.

        Args:
            kind: ``command`` or ``server``.
            text: The message, formatted.
        """
        self._send_error_response(kind, text)

    def _send_error_text(self, text: bytes) -> None:
        self._send(ERROR_APPLICATION, text[:LONGEST_MESSAGE], kind=FrameType.ERROR_RESPONSE)

    def _send_error_map(self, message: bytes, arguments: Sequence[bytes]) -> None:
        if len(message) + sum(map(len, arguments)) > LONGEST_MESSAGE:
            # Half, because escaping each "%" may double the text.
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


def is_worth_a_thread(value: Value) -> bool:
    """Return whether encoding a value would hold the reactor up for half a millisecond."""
    return _content_size(value) >= _WORTH_A_THREAD


def _content_size(value: object) -> int:
    """Return about how many bytes a value has; those of a generator count as none."""
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
