"""Responses of dialect 0006: a status map, then objects coalesced by pieces and content encoded.

Source: framing, section 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import MisplacedError
from wiredaemon.protocol.output import slices
from wiredaemon.protocol.responses import (
    EncodingWork,
    Response,
    is_worth_a_thread,
)
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import CONTINUATION, EOS, FrameType
from wiredaemon.wire.frames import ENCODED
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import OK_MAP, format_message, redirect_map
from wiredaemon.wire.values import Encoded, IndefiniteBytes, Recorded, Redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


def _is_large(value: Value) -> bool:
    """Return whether a value is known, without encoding it, to fill frames of its own."""
    return type(value) is bytes and len(value) >= SENT_PAYLOAD


class ObjectsResponse(Response):
    """The ok map, then the pieces of the objects, as many in a frame as fit it."""

    kind = FrameType.COMMAND_RESPONSE

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held: list[bytes] = []
        self._held_size = 0
        self._is_inside = False
        """The last payload may end inside an object: the object failed while its pieces were made,
        or its bytes were passed on unparsed."""
        self._is_redirect = False
        """The response is a redirect, which no object may follow."""

    @property
    def has_begun(self) -> bool:
        """A part of the result was sent."""
        return self._begun

    def send_object(self, value: Value) -> None:
        """Coalesce the pieces of one object with those before it."""
        for _ in self.send_in_steps(value):
            pass

    def send_in_steps(self, value: Value) -> Iterator[None]:
        """Send an object as `send_object` does, and stop whenever a frame of it is ready."""
        # The texts of Mercurial's own errors.
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
        # Large values are not encoded as a whole: the pieces of a byte string are the string itself
        # and its head, so that nothing is copied.
        if isinstance(value, IndefiniteBytes) or _is_large(value):
            self._begin()
            yield from self._coalesce_pieces(value)
            return
        # Encoded before the response begins, so that a value without a form leaves nothing behind.
        encoded = self._encode(value)
        self._begin()
        if self.stream.is_identity and len(encoded) + self._held_size < SENT_PAYLOAD:
            # Each piece would have fitted: the same bytes in the same frames, without a piece
            # for each item.
            self._hold(encoded)
        else:
            yield from self._coalesce_pieces(value)

    def send_held(self) -> None:
        """Send the held pieces, and the bytes that the encoder holds back.

        Not of content that is passed on: who made it has cut it, and goes on as fast as it comes.
        """
        if self._begun and not self._is_inside:
            self._send_consumed()

    def end(self) -> None:
        """Send the held pieces, and the bytes that the encoder held back, in the last frames."""
        self._begin()
        self._flush()
        payloads = self._flushed_payloads()
        for payload in payloads[:-1]:
            self._send_encoded(payload)
        if payloads:
            self._send(EOS, payloads[-1], stream_flags=ENCODED)
        else:
            # Without the flag for encoded content, as nothing of it comes from the encoder
            # (framing, section 6.3, step 5).
            self._send(EOS, b"")

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with a command error; drop the objects that are held.

        After the ok map it is an error frame: Mercurial sends one more status map there, which no
        client can tell from an object (sessions, section 4).
        """
        if self._begun:
            self.send_error_frame(b"command", format_message(message, arguments))
        else:
            super().send_error(message, arguments)

    def send_server_error(self, text: bytes) -> None:
        """End with an error frame; drop the objects that are held."""
        self.send_error_frame(b"server", text)

    def send_error_frame(self, kind: bytes, text: bytes) -> None:
        """End with an error frame; drop the objects that are held."""
        self._settle_encoder()
        super().send_error_frame(kind, text)

    def _settle_encoder(self) -> None:
        """Send all that the encoder has consumed: later responses continue its context."""
        if self._begun and not self.stream.is_identity:
            self._send_consumed()

    def _send_consumed(self) -> None:
        self._flush()
        for payload in self._flushed_payloads():
            self._send_encoded(payload)

    def _flushed_payloads(self) -> list[bytes]:
        encoder = self.stream.encoder
        return [] if encoder is None else list(slices(encoder.flush()))

    def _begin(self, status: bytes = OK_MAP) -> None:
        if self._begun:
            return
        self._begun = True
        self.stream.send_settings_once(self.request_id)
        encoded = self._through_encoder(status)
        # An encoder that holds the map back makes no frame for it (section 6.3, step 3).
        if encoded:
            self._send_encoded(encoded)

    def _send_redirect(self, redirect: Redirect) -> None:
        """Send a status map that leads elsewhere, in place of the ok map."""
        if self._begun:
            raise MisplacedError("alternatelocationresponse seen after initial output object")
        self._begin(self._encode(redirect_map(redirect)))
        self._is_redirect = self._is_inside = True

    def encoding_work(self, value: Value) -> EncodingWork | None:
        """Return the content encoding of an object that is worth another thread's time.

        Raises:
            UnencodableError: The value has no form; nothing of it was sent.
        """
        encoder = self.stream.encoder
        if encoder is None or self.stream.is_identity or not is_worth_a_thread(value):
            return None
        if self._is_redirect:
            return None  # `send_object` raises the error
        if isinstance(value, Encoded):
            self._begin()
            return EncodingWork(encoder, value.parts, is_part=True)
        # Made here and not in the thread: a generator inside the value may run a command's code.
        pieces = list(cbor.encode_pieces(value, self._dialect.cbor.key_order))
        self._begin()
        return EncodingWork(encoder, pieces)

    def send_encoded(self, work: EncodingWork) -> None:
        """Send the object whose content encoding was done."""
        for _ in self._coalesce(work.encoded):
            pass
        self._is_inside = work.is_part

    def _pass_on(self, parts: Sequence[bytes]) -> None:
        """Send CBOR that is encoded already; the ends of its objects are not known."""
        if self.stream.is_identity:
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
        self._is_inside = True
        for encoded in encoded_pieces:
            if not encoded:
                continue  # the encoder holds the piece back
            # The cuts are those of Mercurial: held pieces leave in front of a piece that does not
            # fit into the same frame, however small the frame is.
            if len(encoded) > SENT_PAYLOAD:
                self._flush()
                for payload in slices(encoded):
                    self._send_encoded(payload)
                    yield
                continue
            # At exactly the size of a frame, too: Mercurial compares so, and frames are compared
            # byte for byte.
            if len(encoded) + self._held_size >= SENT_PAYLOAD:
                self._flush()
                yield
            self._hold(encoded)
        self._is_inside = False

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
