"""Requests being received: the part that both forms of request share.

A machine receives the frames of all requests of one connection, in any interleaving, and returns
events. Its state follows from the requests that it holds: it is receiving while one of them is
incomplete, and idle otherwise.

Source: server-state-machine, sections 1.7 to 1.10.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import DataReceived, RequestCompleted, RequestReceived
from wiredaemon.protocol.incoming_request import IncomingRequest
from wiredaemon.protocol.open_requests import LARGE
from wiredaemon.wire.dialects import CONTINUATION, EOS, FrameType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.protocol.open_requests import OpenRequests
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits


class RequestsState(Enum):
    """States of a connection's requests, by the names that debugreflect shows."""

    IDLE = "idle"
    """Every request that began is complete."""
    RECEIVING = "command-receiving"
    """At least one request is incomplete."""


_Request = TypeVar("_Request", bound=IncomingRequest)
_Step: TypeAlias = "Callable[[Any, Frame], list[ServerEvent]]"
Steps: TypeAlias = "Mapping[tuple[RequestsState, FrameType], _Step]"
# A frame's type has 4 bits.
_FRAME_NUMBERS: Final = 16


# Shared: most requests are whole with their first frame.
_NONE: Final[dict[int, Any]] = {}


class RequestMachine(ABC, Generic[_Request]):
    """The requests that one connection is receiving."""

    __slots__ = (
        "_active",
        "_dialect",
        "_limits",
        "_more_data",
        "_registered",
        "_steps_idle",
        "_steps_receiving",
        "receiving",
    )
    expected_text: ClassVar[str]
    """The error text for a frame that cannot begin a request; ``%d`` is its type's number."""

    def __init__(self, dialect: Dialect, limits: Limits, active: OpenRequests) -> None:
        """Begin without requests.

        Args:
            dialect: The dialect of the connection.
            limits: Bounds the sizes and numbers of requests.
            active: The complete requests, whose ids are in use.
        """
        self._dialect = dialect
        self._limits = limits
        self._active = active
        self._steps_idle, self._steps_receiving = _tables(type(self), dialect)
        self._more_data = dialect.numbers[FrameType.COMMAND_DATA] << 4 | CONTINUATION
        self.receiving: dict[int, _Request] = _NONE
        self._registered = 0

    @property
    def state(self) -> RequestsState:
        """`RequestsState.RECEIVING` while a request is incomplete, else `RequestsState.IDLE`."""
        return RequestsState.RECEIVING if self.receiving else RequestsState.IDLE

    def receive_frame(self, frame: Frame) -> list[ServerEvent]:
        """Receive one frame of any request.

        Raises:
            RemoteProtocolError: The frame is not allowed now; the connection has failed.
        """
        # A list for each state, made from the table: one look-up by number for each frame, in place
        # of two enumerations and a tuple.
        steps = self._steps_receiving if self.receiving else self._steps_idle
        step = steps[frame.type_number]
        if step is not None:
            events = step(self, frame)
            # One alone has limits of its own, which are less.
            if len(self.receiving) > 1:
                self._check_size()
            return events
        if not self.receiving:
            raise RemoteProtocolError(self.expected_text % frame.type_number)
        # Frames of unknown requests have a text of their own, which comes before that of the type.
        self._find(frame)
        raise self._unexpected(frame)

    def _check_size(self) -> None:
        size = sum([request.size for request in self.receiving.values()])
        if size > self._limits.request_bytes:
            message = (
                f"requests begun and not complete exceed the limit of "
                f"{self._limits.request_bytes} bytes (request_bytes)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def unannounced(self) -> int:
        """Return the bytes of requests that no event has told of, early data included."""
        return sum([one.size for one in self.receiving.values() if not one.announced])

    @classmethod
    @abstractmethod
    def steps(cls) -> Steps:
        """Return the table of the frames that may come in each state."""

    @abstractmethod
    def receive_plain(
        self, request_id: int, kind: int, payload: bytes
    ) -> RequestReceived | DataReceived | None:
        """Receive one of the commonest frames, as `receive_frame` does, and quicker.

        It returns the event of a whole request without data, or of data that is passed on and has
        not ended. For any other frame it returns None and has done nothing.

        Args:
            request_id: The request's id.
            kind: The octet of type and flags.
            payload: The frame's payload.

        Raises:
            RemoteProtocolError: As `receive_frame`.
        """

    def _receive_more_data(self, request_id: int, kind: int, payload: bytes) -> DataReceived | None:
        """Receive data that goes on and can be passed on at once; return None for other frames."""
        if kind != self._more_data or not payload:
            return None
        request = self.receiving.get(request_id)
        # Data in front of the end of the request part is kept by the request itself.
        if request is None or not request.announced:
            return None
        return DataReceived(request_id, payload)

    def abort(self) -> list[_Request]:
        """Forget the requests that are incomplete, and return those that were not cancelled."""
        aborted = [request for request in self.receiving.values() if not request.is_dropped]
        self.receiving.clear()
        return aborted

    @staticmethod
    def _unexpected(frame: Frame) -> RemoteProtocolError:
        return RemoteProtocolError(f"received unexpected frame type: {frame.type_number}")

    def _refuse_known(self, request_id: int) -> None:
        """Refuse to begin a request under an id that is in use."""
        # The order of the checks, here and in `_find`, is that of server-state-machine, sections
        # 1.8 and 1.9: it decides which text a peer reads.
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
        request.number = self._registered
        self._registered += 1
        if self.receiving is _NONE:
            self.receiving = {}
        self.receiving[request.request_id] = request

    def oldest_incomplete(self) -> _Request | None:
        """Return the request that began first of those whose request part is incomplete."""
        for request in self.receiving.values():
            if not request.is_requested:
                return request
        return None

    def _find(self, frame: Frame) -> _Request:
        """Return the request that a frame continues."""
        if frame.request_id in self._active:
            message = f"received frame for request that is still active: {frame.request_id}"
            raise RemoteProtocolError(message)
        try:
            return self.receiving[frame.request_id]
        except KeyError:
            message = f"received frame for request that is not receiving: {frame.request_id}"
            raise RemoteProtocolError(message) from None

    def _complete(self, request: _Request) -> list[ServerEvent]:
        """Remove a complete request and return the events that are still due."""
        # Absent where the request was complete with its first frame and never registered.
        self.receiving.pop(request.request_id, None)
        if request.request_size >= LARGE:
            self._active.hold(request.request_id, request.request_size)
        events = request.announce()
        if request.failure is not None:
            raise request.failure
        if request.is_dropped:
            self._active.end_cancelled(request.request_id)
        elif request.has_data:
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
        # Both flags together continue, as in Mercurial.
        if frame.flags & CONTINUATION:
            return events
        if not frame.flags & EOS:
            message = "command data frame without flags"
            raise RemoteProtocolError(message)
        return events + self._finish_data(request)

    @abstractmethod
    def _finish_data(self, request: _Request) -> list[ServerEvent]:
        """Complete a request whose last data was received."""


# Cached: once for each dialect, not for each connection.
@cache
def _tables(
    machine: type[RequestMachine[Any]], dialect: Dialect
) -> tuple[list[_Step | None], list[_Step | None]]:
    """Return a machine's steps in the states idle and receiving, by the numbers of frame types."""
    steps = machine.steps()
    kinds = [dialect.types.get(number) for number in range(_FRAME_NUMBERS)]
    idle, receiving = (
        [None if kind is None else steps.get((state, kind)) for kind in kinds]
        for state in (RequestsState.IDLE, RequestsState.RECEIVING)
    )
    return idle, receiving
