"""One request that is being received: the part that both forms of request share.

Source: server-state-machine, sections 1.8 to 1.10.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import DataReceived

if TYPE_CHECKING:
    from wiredaemon.protocol.events import RequestReceived, ServerEvent
    from wiredaemon.wire.limits import Limits


class IncomingRequest(ABC):
    """One request that is not complete yet."""

    def __init__(self, request_id: int, *, has_data: bool, limits: Limits) -> None:
        """Begin with nothing received."""
        self.request_id = request_id
        self.number = 0
        """How many requests were registered on the connection before this one."""
        self.has_data = has_data
        self.announced = False
        """The `RequestReceived` event was returned."""
        self.is_dropped = False
        """The request was cancelled: its data is dropped until it ends."""
        self.failure: RemoteProtocolError | None = None
        """The error in its content, which is raised when the request is complete."""
        self._limits = limits
        self._early_data = bytearray()
        self.request_size = 0
        """Bytes of the request part so far."""
        self._frames = 0

    @property
    def size(self) -> int:
        """The bytes that are held: of the request part, decoded or not, and of early data."""
        return self.request_size + len(self._early_data)

    @property
    @abstractmethod
    def is_requested(self) -> bool:
        """The request part is complete; only data may follow."""

    @abstractmethod
    def read(self) -> RequestReceived:
        """Return the event of the complete request part.

        Raises:
            RemoteProtocolError: The content makes no request.
        """

    def count(self, size: int) -> None:
        """Count a frame of the request part, whose payload has ``size`` bytes.

        Raises:
            RemoteProtocolError: A limit is crossed.
        """
        self._frames += 1
        # Frames are counted besides bytes: an empty one costs the server work, and no byte of the
        # limit.
        self.request_size += size
        limits = self._limits
        if self._frames > limits.request_frames:
            message = (
                f"request {self.request_id} exceeds the limit of {limits.request_frames} frames "
                "(request_frames)"
            )
            raise RemoteProtocolError(message, malformed=True)
        if self.request_size > limits.request_size:
            message = (
                f"request {self.request_id} exceeds the limit of {limits.request_size} bytes "
                "(request_size)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def announce(self) -> list[ServerEvent]:
        """Return the events of a complete request part, data that came early included."""
        if self.announced or self.is_dropped or self.failure is not None:
            return []
        try:
            received = self.read()
        except RemoteProtocolError as error:
            # Mercurial decodes a request once its data is complete; until then it accepts frames.
            self.failure = error
            return []
        self.announced = True
        if not self._early_data:
            return [received]
        data = bytes(self._early_data)
        self._early_data.clear()
        return [received, DataReceived(request_id=self.request_id, data=data)]

    def drop(self) -> None:
        """Cause no further event, and hold nothing."""
        self.is_dropped, self.announced, self.request_size = True, False, 0

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """Pass data on, or keep it until the request part is complete.

        Raises:
            RemoteProtocolError: Too much data came before the request part was complete.
        """
        if self.failure is not None or self.is_dropped or not data:
            return []
        if self.announced:
            return [DataReceived(self.request_id, data)]
        # Data in front of its request is legal, but no command can read it: so it is kept up to
        # the limit of data that nobody declared.
        self._early_data += data
        if len(self._early_data) > self._limits.undeclared_data:
            message = (
                f"command data in front of request {self.request_id} exceeds the limit of "
                f"{self._limits.undeclared_data} bytes (undeclared_data)"
            )
            raise RemoteProtocolError(message, malformed=True)
        return []
