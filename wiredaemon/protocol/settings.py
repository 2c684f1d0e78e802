"""Settings frames of 0006: CBOR that may span frames, for the sender or for a stream.

Source: server-state-machine, sections 1.6 and 2.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import CONTINUATION, EOS

if TYPE_CHECKING:
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits


class SettingsReceiver:
    """Collects the items of one run of settings frames."""

    def __init__(self, subject: str, dialect: Dialect, limits: Limits) -> None:
        """Collect settings that error texts call ``subject``."""
        self._subject = subject
        self._limits = limits
        self._reader = ItemReader(dialect.cbor, limits)
        self._items: list[object] = []
        self._size = 0

    def receive_frame(self, frame: Frame) -> list[object] | None:
        """Receive one frame; return all items with the last frame, and None before it.

        An incomplete item at the end is ignored.

        Raises:
            RemoteProtocolError: Flags, CBOR or size are wrong, or no item came.
        """
        last = bool(frame.flags & EOS)
        if last and frame.flags & CONTINUATION:
            message = f"{self._subject} cannot have both continuation and end of stream flags set"
            raise RemoteProtocolError(message)
        if not last and not frame.flags & CONTINUATION:
            message = f"{self._subject} must have continuation or end of stream flag set"
            raise RemoteProtocolError(message)
        self._size += len(frame.payload)
        if self._size > self._limits.settings_size:
            message = (
                f"{self._subject} exceeds the limit of {self._limits.settings_size} bytes "
                "(settings_size)"
            )
            raise RemoteProtocolError(message, malformed=True)
        try:
            self._items += self._reader.receive_data(frame.payload)
        except CborError as error:
            message = f"error decoding CBOR from {self._subject}: {error}"
            raise RemoteProtocolError(message) from error
        if not last:
            return None
        if not self._items:
            message = f"{self._subject} did not contain CBOR data"
            raise RemoteProtocolError(message)
        return self._items
