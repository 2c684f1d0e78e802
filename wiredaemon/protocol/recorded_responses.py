"""Responses of dialect 0006 that were recorded: content encoded before, for another request.

Source: framing, sections 6.3 and 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import MisplacedError
from wiredaemon.protocol.output import slices
from wiredaemon.protocol.responses import LONGEST_MESSAGE, Response
from wiredaemon.wire.dialects import CONTINUATION, EOS, FrameType
from wiredaemon.wire.frames import ENCODED, END
from wiredaemon.wire.payloads import error_response, format_message
from wiredaemon.wire.values import Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


class RecordedResponse(Response):
    """A response as it was encoded before, ok map included, on a stream that ends with it.

    The stream has settings of its own, so that a client can decode it without the streams of other
    responses (docs/decisions.md).
    """

    kind = FrameType.COMMAND_RESPONSE

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent; ``stream`` is for recorded content."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        """The last payload so far, held until it is known whether another follows."""

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

    def send_held(self) -> None:
        """Keep the payload: it may be the last, which says so."""

    def end(self) -> None:
        """Send the last payload, with which the stream ends too."""
        self._send(EOS, self._held, stream_flags=ENCODED | END)

    def send_error(self, message: bytes, arguments: Sequence[bytes]) -> None:
        """End with an error frame: a status map would be decoded as a part of an object."""
        self._send_error_response(b"command", format_message(message, arguments))

    def _send_error_response(self, kind: bytes, text: bytes) -> None:
        payload = self._encode(error_response(kind, text[:LONGEST_MESSAGE]))
        self._send(0, payload, kind=FrameType.ERROR_RESPONSE, stream_flags=END)
