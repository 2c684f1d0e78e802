"""Responses of dialect 0005: a status map, then CBOR in full frames.

Source: framing, section 6.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.output import slices
from wiredaemon.protocol.responses import Response
from wiredaemon.wire.dialects import CONTINUATION, EOS, FrameType
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


class StatusMapResponse(Response):
    """The ok map in a frame of its own, then the bytes of the objects in full frames."""

    kind = FrameType.COMMAND_RESPONSE

    def __init__(self, request_id: int, dialect: Dialect, stream: OutputStream) -> None:
        """Begin with nothing sent."""
        super().__init__(request_id, dialect, stream)
        self._held = b""
        self._sent_data = False

    def send_result(self, value: Value) -> None:
        """Send the map and a value that does not fit one frame with it."""
        data = self._encode(value)
        self._begin()
        # The map alone, then full frames: what fits one frame with it was sent by `small_results`
        # (framing, section 6.2).
        payloads = list(slices(data))
        for payload in payloads[:-1]:
            self._send(CONTINUATION, payload)
        self._send(EOS, payloads[-1])

    def send_object(self, value: Value) -> None:
        """Send the map first, and full frames as there is content for them."""
        data = self._held + self._encode(value)
        self._begin()
        start = 0
        while len(data) - start >= SENT_PAYLOAD:
            self._send_data(data[start : start + SENT_PAYLOAD])
            start += SENT_PAYLOAD
        self._held = data[start:]

    def send_held(self) -> None:
        """Send a frame that is not full."""
        if self._held:
            self._send_data(self._held)
            self._held = b""

    def end(self) -> None:
        """Send what is held and an empty frame."""
        self._begin()
        self.send_held()
        # Flags 3 where there was no data, and no flag on the first frame of data: that is what
        # Mercurial's of this era sends (framing, section 6.2).
        self._send(EOS if self._sent_data else EOS | CONTINUATION, b"")

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._send(CONTINUATION, OK_MAP)

    def _send_data(self, payload: bytes) -> None:
        self._send(CONTINUATION if self._sent_data else 0, payload)
        self._sent_data = True
