"""Requests in a name frame and one or more frames for each argument: dialect 0002.

Source: server-state-machine, section 1.7; framing, section 5.1.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import RequestReceived
from wiredaemon.protocol.incoming_request import IncomingRequest
from wiredaemon.protocol.requests import RequestMachine, RequestsState, Steps
from wiredaemon.wire.dialects import (
    ARGUMENT_CONTINUATION,
    ARGUMENT_EOA,
    NAME_EOS,
    NAME_HAVE_ARGUMENTS,
    NAME_HAVE_DATA,
    FrameType,
)

if TYPE_CHECKING:
    from wiredaemon.protocol.events import DataReceived, ServerEvent
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits

_ARGUMENT_HEAD: Final = Struct("<HH")


class NamedRequest(IncomingRequest):
    """A request in a name frame and one or more frames for each argument (0002)."""

    def __init__(self, frame: Frame, *, limits: Limits) -> None:
        """Begin with the name frame."""
        super().__init__(
            frame.request_id, has_data=bool(frame.flags & NAME_HAVE_DATA), limits=limits
        )
        self.has_arguments = bool(frame.flags & NAME_HAVE_ARGUMENTS)
        # The flag of the end takes precedence over the other flags.
        if frame.flags & NAME_EOS:
            self.has_data = self.has_arguments = False
        self._name = frame.payload
        self._arguments: dict[bytes, bytes] = {}
        self._ended = not self.has_arguments
        self._open: tuple[bytes, int, bytearray] | None = None
        """Name, size and value so far of an argument that continues in the next frame."""
        self.count(len(frame.payload))

    @property
    def is_requested(self) -> bool:
        """All arguments were received."""
        return self._ended

    @property
    def is_inside_argument(self) -> bool:
        """The value of the last argument continues in a frame that was not received."""
        return self._open is not None

    def receive_argument(self, frame: Frame) -> None:
        """Add one command-argument frame.

        Raises:
            RemoteProtocolError: The frame holds no argument.
        """
        self.count(len(frame.payload))
        if self._open is None:
            self._open = self._begin_argument(frame.payload)
        else:
            self._open[2].extend(frame.payload)
        name, size, value = self._open
        goes_on = bool(frame.flags & ARGUMENT_CONTINUATION)
        # Values in several frames are in the documentation, and fail in Mercurial's server: a
        # better one accepts them (framing, section 5.1).
        if len(value) > size or (len(value) < size and not goes_on):
            message = "malformed argument frame: partial argument value"
            raise RemoteProtocolError(message)
        if not goes_on:
            self._arguments[name] = bytes(value)
            self._open = None
            self._ended = self._ended or bool(frame.flags & ARGUMENT_EOA)

    def _begin_argument(self, payload: bytes) -> tuple[bytes, int, bytearray]:
        # Data may follow the last argument, but no further argument: its command may be running.
        if self.announced:
            message = f"command argument of request {self.request_id} follows the last argument"
            raise RemoteProtocolError(message, malformed=True)
        if len(payload) < _ARGUMENT_HEAD.size:
            message = "malformed argument frame: partial argument header"
            raise RemoteProtocolError(message, malformed=True)
        name_size, value_size = _ARGUMENT_HEAD.unpack_from(payload)
        start = _ARGUMENT_HEAD.size + name_size
        if start > len(payload):
            message = "malformed argument frame: partial argument name"
            raise RemoteProtocolError(message)
        name = payload[_ARGUMENT_HEAD.size : start]
        return name, value_size, bytearray(payload[start:])

    def read(self) -> RequestReceived:
        """Return the event with the arguments that were received."""
        return RequestReceived(
            request_id=self.request_id,
            command=self._name,
            arguments=self._arguments,
            has_data=self.has_data,
        )


class NamedRequestMachine(RequestMachine[NamedRequest]):
    """Receives the requests of dialect 0002."""

    __slots__ = ()

    expected_text = "expected command frame; got %d"

    @classmethod
    def steps(cls) -> Steps:
        """Return the table below."""
        return _NAMED_STEPS

    @staticmethod
    def _unexpected(frame: Frame) -> RemoteProtocolError:
        # Mercurial fails on such a frame without an answer, so that it counts as malformed.
        message = f"received unexpected frame type: {frame.type_number}"
        return RemoteProtocolError(message, malformed=True)

    def receive_plain(self, request_id: int, kind: int, payload: bytes) -> DataReceived | None:
        """Receive data that goes on; requests are several frames each."""
        return self._receive_more_data(request_id, kind, payload)

    def _begin(self, frame: Frame) -> list[ServerEvent]:
        self._refuse_known(frame.request_id)
        request = NamedRequest(frame, limits=self._limits)
        if frame.flags & NAME_EOS:
            return self._complete(request)
        if not frame.flags & (NAME_HAVE_ARGUMENTS | NAME_HAVE_DATA):
            message = "missing frame flags on command frame"
            raise RemoteProtocolError(message)
        self._register(request)
        return []

    def _receive_argument(self, frame: Frame) -> list[ServerEvent]:
        request = self._find(frame)
        if not request.has_arguments:
            message = (
                "received command argument frame for request that is not expecting arguments: "
                f"{frame.request_id}"
            )
            raise RemoteProtocolError(message)
        request.receive_argument(frame)
        if request.is_requested and not request.has_data:
            return self._complete(request)
        return []

    def _finish_data(self, request: NamedRequest) -> list[ServerEvent]:
        # Arguments that have not ended by now count as ended, but not half an argument.
        if request.is_inside_argument:
            message = f"command data of request {request.request_id} ended inside an argument value"
            raise RemoteProtocolError(message, malformed=True)
        return self._complete(request)


_NAMED_STEPS: Final[Steps] = {
    (RequestsState.IDLE, FrameType.COMMAND_NAME): NamedRequestMachine._begin,
    (RequestsState.RECEIVING, FrameType.COMMAND_NAME): NamedRequestMachine._begin,
    (RequestsState.RECEIVING, FrameType.COMMAND_ARGUMENT): NamedRequestMachine._receive_argument,
    (RequestsState.RECEIVING, FrameType.COMMAND_DATA): NamedRequestMachine._receive_data,
}
