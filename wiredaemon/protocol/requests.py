"""Requests being received: from frames to a name and arguments, in both forms of request.

A machine takes the frames of all requests of one connection, in any interleaving, and gives
events. Its state follows from what it holds: while some request is incomplete it is receiving,
else idle.

Source: server-state-machine, sections 1.7 to 1.10; framing, section 5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import DataReceived, RequestCompleted, RequestReceived
from wiredaemon.wire.cbor import CborError, decode_first, decode_leading
from wiredaemon.wire.dialects import (
    ARGUMENT_CONTINUATION,
    ARGUMENT_EOA,
    CONTINUATION,
    EOS,
    NAME_EOS,
    NAME_HAVE_ARGUMENTS,
    NAME_HAVE_DATA,
    REQUEST_CONTINUATION,
    REQUEST_HAVE_DATA,
    REQUEST_MORE,
    REQUEST_NEW,
    FrameType,
    RequestForm,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits

_ARGUMENT_HEAD: Final = Struct("<HH")


class InputState(Enum):
    """States of a server's input, by the names that debugreflect shows."""

    INITIAL = "initial"
    SETTINGS = "protocol-settings-receiving"
    IDLE = "idle"
    RECEIVING = "command-receiving"
    ERRORED = "errored"


class IncomingRequest(ABC):
    """One request that is not complete yet."""

    def __init__(self, request_id: int, *, has_data: bool, limits: Limits) -> None:
        """Begin with nothing received."""
        self.request_id = request_id
        self.has_data = has_data
        self.announced = False
        """Its `RequestReceived` was given."""
        self.failure: RemoteProtocolError | None = None
        """What is wrong with its content: the error is due when the request is complete."""
        self._limits = limits
        self._early_data = bytearray()
        self._size = 0
        self._frames = 0

    @property
    @abstractmethod
    def is_requested(self) -> bool:
        """The request part is complete; only data may follow."""

    @abstractmethod
    def read(self) -> RequestReceived:
        """Give the event of the complete request part.

        Raises:
            RemoteProtocolError: The content makes no request.
        """

    def count(self, frame: Frame) -> None:
        """Account for a frame of the request part.

        Raises:
            RemoteProtocolError: A limit is crossed.
        """
        self._frames += 1
        self._size += len(frame.payload)
        limits = self._limits
        if self._frames > limits.request_frames:
            message = (
                f"request {self.request_id} exceeds the limit of {limits.request_frames} frames "
                "(request_frames)"
            )
            raise RemoteProtocolError(message, malformed=True)
        if self._size > limits.request_size:
            message = (
                f"request {self.request_id} exceeds the limit of {limits.request_size} bytes "
                "(request_size)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def announce(self) -> list[ServerEvent]:
        """Give the events of a complete request part, data that came early included."""
        if self.announced or self.failure is not None:
            return []
        try:
            received = self.read()
        except RemoteProtocolError as error:
            self.failure = error
            return []
        self.announced = True
        if not self._early_data:
            return [received]
        data = bytes(self._early_data)
        self._early_data.clear()
        return [received, DataReceived(request_id=self.request_id, data=data)]

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """Pass data on, or keep it until the request part is complete.

        Raises:
            RemoteProtocolError: Too much data came before that.
        """
        if self.failure is not None or not data:
            return []
        if self.announced:
            return [DataReceived(request_id=self.request_id, data=data)]
        self._early_data += data
        if len(self._early_data) > self._limits.undeclared_data:
            message = (
                f"command data in front of request {self.request_id} exceeds the limit of "
                f"{self._limits.undeclared_data} bytes (undeclared_data)"
            )
            raise RemoteProtocolError(message, malformed=True)
        return []


_Request = TypeVar("_Request", bound=IncomingRequest)
_Steps: TypeAlias = (
    "Mapping[tuple[InputState, FrameType | None], Callable[[Any, Frame], list[ServerEvent]]]"
)


class RequestMachine(ABC, Generic[_Request]):
    """The requests that one connection is receiving."""

    expected_text: ClassVar[str]
    """Refuses what cannot begin a request; ``%d`` is the frame type's number."""

    def __init__(self, dialect: Dialect, limits: Limits, active: Container[int]) -> None:
        """Watch ``active``: the ids of complete requests that are not answered yet."""
        self._dialect = dialect
        self._limits = limits
        self._active = active
        self.receiving: dict[int, _Request] = {}

    @property
    def state(self) -> InputState:
        """`InputState.RECEIVING` while a request is incomplete, else `InputState.IDLE`."""
        return InputState.RECEIVING if self.receiving else InputState.IDLE

    def receive_frame(self, frame: Frame) -> list[ServerEvent]:
        """Take one frame of any request.

        Raises:
            RemoteProtocolError: The frame is not allowed now; the connection has failed.
        """
        kind = self._dialect.types.get(frame.type_number)
        state = InputState.RECEIVING if self.receiving else InputState.IDLE
        step = self._steps().get((state, kind))
        if step is not None:
            return step(self, frame)
        if state is InputState.IDLE:
            raise RemoteProtocolError(self.expected_text % frame.type_number)
        self._find(frame)
        raise self._unexpected(frame)

    @classmethod
    @abstractmethod
    def _steps(cls) -> _Steps:
        """Give the table of what may come in each state."""

    @staticmethod
    def _unexpected(frame: Frame) -> RemoteProtocolError:
        return RemoteProtocolError(f"received unexpected frame type: {frame.type_number}")

    def _refuse_known(self, request_id: int) -> None:
        """Refuse to begin a request under an id that is in use."""
        if request_id in self.receiving:
            message = f"request with ID {request_id} already received"
            raise RemoteProtocolError(message)
        if request_id in self._active:
            message = f"request with ID {request_id} is already active"
            raise RemoteProtocolError(message)

    def _register(self, request: _Request) -> None:
        if len(self.receiving) >= self._limits.half_open_requests:
            message = (
                f"requests begun and not complete exceed the limit of "
                f"{self._limits.half_open_requests} (half_open_requests)"
            )
            raise RemoteProtocolError(message, malformed=True)
        self.receiving[request.request_id] = request

    def _find(self, frame: Frame) -> _Request:
        """Give the request that a frame continues."""
        if frame.request_id in self._active:
            message = f"received frame for request that is still active: {frame.request_id}"
            raise RemoteProtocolError(message)
        try:
            return self.receiving[frame.request_id]
        except KeyError:
            message = f"received frame for request that is not receiving: {frame.request_id}"
            raise RemoteProtocolError(message) from None

    def _complete(self, request: _Request) -> list[ServerEvent]:
        """Take a complete request off the list and give what is left to tell of it."""
        self.receiving.pop(request.request_id, None)
        events = request.announce()
        if request.failure is not None:
            raise request.failure
        if request.has_data:
            events.append(RequestCompleted(request_id=request.request_id))
        return events

    def _receive_data(self, frame: Frame) -> list[ServerEvent]:
        request = self._find(frame)
        if not request.has_data:
            message = (
                "received command data frame for request that is not expecting data: "
                f"{frame.request_id}"
            )
            raise RemoteProtocolError(message)
        events = request.announce() if request.is_requested else []
        events += request.receive_data(frame.payload)
        if frame.flags & CONTINUATION:
            return events
        if not frame.flags & EOS:
            message = "command data frame without flags"
            raise RemoteProtocolError(message)
        return events + self._finish_data(request)

    @abstractmethod
    def _finish_data(self, request: _Request) -> list[ServerEvent]:
        """Complete a request whose last data has come."""


class MapRequest(IncomingRequest):
    """A request that is one CBOR map, cut into frames (0003 and later)."""

    def __init__(
        self, request_id: int, *, has_data: bool, dialect: Dialect, limits: Limits
    ) -> None:
        """Begin with nothing received."""
        super().__init__(request_id, has_data=has_data, limits=limits)
        self._dialect = dialect
        self._parts: list[bytes] = []
        self._requested = False

    @property
    def is_requested(self) -> bool:
        """The frame without ``more`` has come."""
        return self._requested

    def receive_frame(self, frame: Frame) -> None:
        """Take one command-request frame."""
        self.count(frame)
        self._parts.append(frame.payload)
        self._requested = not frame.flags & REQUEST_MORE

    def read(self) -> RequestReceived:
        """Decode the map (server-state-machine, section 1.10)."""
        payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        content = self._decode(payload)
        if not isinstance(content, dict):
            raise self._refuse(content)
        if b"name" not in content:
            raise self._nameless()
        command = content.pop(b"name")
        arguments = content.pop(b"args", {})
        return RequestReceived(
            request_id=self.request_id,
            command=command,
            arguments=arguments,
            has_data=self.has_data,
            redirect=content.pop(b"redirect", None),
            extra=content,
        )

    def _decode(self, payload: bytes) -> object:
        try:
            if self._dialect.whole_request:
                return decode_leading(payload, self._dialect.cbor, self._limits)
            return decode_first(payload, self._dialect.cbor, self._limits)
        except CborError as error:
            message = f"error decoding CBOR from command request {self.request_id}: {error}"
            raise RemoteProtocolError(message, malformed=True) from error

    def _refuse(self, content: object) -> RemoteProtocolError:
        """Give the error for content that is no map."""
        if isinstance(content, list | set | bytes) and b"name" not in content:
            return self._nameless()
        message = f"command request {self.request_id} is not a map"
        return RemoteProtocolError(message, malformed=True)

    @staticmethod
    def _nameless() -> RemoteProtocolError:
        return RemoteProtocolError('command request missing "name" field')


class MapRequestMachine(RequestMachine[MapRequest]):
    """Dialects 0003 and later."""

    expected_text = "expected command request frame; got %d"

    @classmethod
    def _steps(cls) -> _Steps:
        return _MAP_STEPS

    def _begin(self, frame: Frame) -> list[ServerEvent]:
        self._check_flags(frame)
        self._refuse_known(frame.request_id)
        if not frame.flags & REQUEST_NEW:
            message = "received command request frame without new flag set"
            raise RemoteProtocolError(message)
        request = MapRequest(
            frame.request_id,
            has_data=bool(frame.flags & REQUEST_HAVE_DATA),
            dialect=self._dialect,
            limits=self._limits,
        )
        request.receive_frame(frame)
        if request.is_requested and not request.has_data:
            return self._complete(request)
        self._register(request)
        return request.announce() if request.is_requested else []

    def _continue(self, frame: Frame) -> list[ServerEvent]:
        if frame.flags & REQUEST_NEW:
            return self._begin(frame)
        self._check_flags(frame)
        request = self._find(frame)
        if request.is_requested:
            message = "received command request frame when request frames were supposedly done"
            raise RemoteProtocolError(message)
        if bool(frame.flags & REQUEST_HAVE_DATA) != request.has_data:
            message = "mismatch between expect data flag and previous frame"
            raise RemoteProtocolError(message)
        request.receive_frame(frame)
        if frame.flags & REQUEST_MORE:
            return []
        return request.announce() if request.has_data else self._complete(request)

    @staticmethod
    def _check_flags(frame: Frame) -> None:
        new, continued = frame.flags & REQUEST_NEW, frame.flags & REQUEST_CONTINUATION
        if new and continued:
            message = "received command request frame with both new and continuation flags set"
            raise RemoteProtocolError(message)
        if not new and not continued:
            message = "received command request frame with neither new nor continuation flags set"
            raise RemoteProtocolError(message)

    def _finish_data(self, request: MapRequest) -> list[ServerEvent]:
        if not request.is_requested:
            message = (
                f"command data of request {request.request_id} ended before its request frames"
            )
            raise RemoteProtocolError(message, malformed=True)
        return self._complete(request)


_MAP_STEPS: Final[_Steps] = {
    (InputState.IDLE, FrameType.COMMAND_REQUEST): MapRequestMachine._begin,
    (InputState.RECEIVING, FrameType.COMMAND_REQUEST): MapRequestMachine._continue,
    (InputState.RECEIVING, FrameType.COMMAND_DATA): MapRequestMachine._receive_data,
}


class NamedRequest(IncomingRequest):
    """A request in a name frame and one or more frames for each argument (0002)."""

    def __init__(self, frame: Frame, *, limits: Limits) -> None:
        """Begin with the name frame."""
        super().__init__(
            frame.request_id, has_data=bool(frame.flags & NAME_HAVE_DATA), limits=limits
        )
        self.has_arguments = bool(frame.flags & NAME_HAVE_ARGUMENTS)
        if frame.flags & NAME_EOS:
            self.has_data = self.has_arguments = False
        self._name = frame.payload
        self._arguments: dict[bytes, bytes] = {}
        self._ended = not self.has_arguments
        self._open: tuple[bytes, int, bytearray] | None = None
        """Name, size and value so far of an argument that goes on in the next frame."""
        self.count(frame)

    @property
    def is_requested(self) -> bool:
        """The last argument has come."""
        return self._ended

    @property
    def is_inside_argument(self) -> bool:
        """The value of the last argument goes on in a frame that has not come."""
        return self._open is not None

    def receive_argument(self, frame: Frame) -> None:
        """Take one command-argument frame.

        Raises:
            RemoteProtocolError: It holds no argument.
        """
        self.count(frame)
        if self._open is None:
            self._open = self._begin_argument(frame.payload)
        else:
            self._open[2].extend(frame.payload)
        name, size, value = self._open
        goes_on = bool(frame.flags & ARGUMENT_CONTINUATION)
        if len(value) > size or (len(value) < size and not goes_on):
            message = "malformed argument frame: partial argument value"
            raise RemoteProtocolError(message)
        if not goes_on:
            self._arguments[name] = bytes(value)
            self._open = None
            self._ended = self._ended or bool(frame.flags & ARGUMENT_EOA)

    def _begin_argument(self, payload: bytes) -> tuple[bytes, int, bytearray]:
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
        """Give the arguments that have come."""
        return RequestReceived(
            request_id=self.request_id,
            command=self._name,
            arguments=self._arguments,
            has_data=self.has_data,
        )


class NamedRequestMachine(RequestMachine[NamedRequest]):
    """Dialect 0002."""

    expected_text = "expected command frame; got %d"

    @classmethod
    def _steps(cls) -> _Steps:
        return _NAMED_STEPS

    @staticmethod
    def _unexpected(frame: Frame) -> RemoteProtocolError:
        # The original had no answer to this one.
        message = f"received unexpected frame type: {frame.type_number}"
        return RemoteProtocolError(message, malformed=True)

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


_NAMED_STEPS: Final[_Steps] = {
    (InputState.IDLE, FrameType.COMMAND_NAME): NamedRequestMachine._begin,
    (InputState.RECEIVING, FrameType.COMMAND_NAME): NamedRequestMachine._begin,
    (InputState.RECEIVING, FrameType.COMMAND_ARGUMENT): NamedRequestMachine._receive_argument,
    (InputState.RECEIVING, FrameType.COMMAND_DATA): NamedRequestMachine._receive_data,
}


def make_request_machine(
    dialect: Dialect, limits: Limits, active: Container[int]
) -> MapRequestMachine | NamedRequestMachine:
    """Give the machine for the dialect's form of request."""
    match dialect.request:
        case RequestForm.MAP:
            return MapRequestMachine(dialect, limits, active)
        case RequestForm.FRAMES:
            return NamedRequestMachine(dialect, limits, active)
