"""Sessions of 0006: their frames, and the table of when each may come.

Owns what both sides share: the checks of received frames, the answers to pings, the payloads. The
connections own what a cancelled request means to them.

Source: sessions, sections 1 and 2.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import (
    GoAwayReceived,
    PingReceived,
    PongReceived,
    RequestCancelled,
    SessionStarted,
)
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor import decode_first
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.frames import ENCODED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from wiredaemon.protocol.output import Output, OutputStream
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

    SessionReceived: TypeAlias = (
        SessionStarted | RequestCancelled | PingReceived | PongReceived | GoAwayReceived
    )

VERSION: Final = 1
"""The version of sessions that both sides speak."""
_LARGEST_PAYLOAD: Final = 4096
_LARGEST_PING: Final = 64
_LONGEST_REASON: Final = 1024
"""Bytes of a reason that are sent; a quarter of the largest payload."""


class SessionStep(IntEnum):
    """The events that change the state of a session; the first five are received frames."""

    HELLO = 1
    CANCEL = 2
    PING = 3
    PONG = 4
    GO_AWAY = 5
    OFFERED = 6
    """Our settings have offered a session."""
    STARTED = 7
    """Our hello was sent."""
    LEFT = 8
    """Our goaway was sent."""


_FRAMES: Final = frozenset(SessionStep(number) for number in range(1, 6))
"""The steps that are frames, whose values are their flags on the wire."""


class SessionState(IntEnum):
    """The state of a session, on either side."""

    NONE = 0
    """No session was asked for."""
    OFFERED = 1
    """The client has asked for one and was not answered."""
    OPEN = 2
    """Requests, and all session frames."""
    LEAVING = 3
    """One side has said goaway: requests before it are answered, and there are no further ones."""


_N, _O, _R, _L = SessionState.NONE, SessionState.OFFERED, SessionState.OPEN, SessionState.LEAVING

SERVER_SESSION: Final[Mapping[tuple[SessionState, SessionStep], SessionState]] = {
    (_N, SessionStep.STARTED): _R,
    (_R, SessionStep.CANCEL): _R,
    (_R, SessionStep.PING): _R,
    (_R, SessionStep.PONG): _R,
    (_R, SessionStep.GO_AWAY): _L,
    (_R, SessionStep.LEFT): _L,
    (_L, SessionStep.CANCEL): _L,
    (_L, SessionStep.PING): _L,
    (_L, SessionStep.PONG): _L,
    # Each side may say it, and say it again with another reason.
    (_L, SessionStep.GO_AWAY): _L,
    (_L, SessionStep.LEFT): _L,
}
"""A server's session. Its client sends cancel, and it sends hello."""
CLIENT_SESSION: Final[Mapping[tuple[SessionState, SessionStep], SessionState]] = {
    (_N, SessionStep.OFFERED): _O,
    (_O, SessionStep.HELLO): _R,
    (_R, SessionStep.PING): _R,
    (_R, SessionStep.PONG): _R,
    (_R, SessionStep.GO_AWAY): _L,
    (_R, SessionStep.LEFT): _L,
    (_L, SessionStep.PING): _L,
    (_L, SessionStep.PONG): _L,
    (_L, SessionStep.GO_AWAY): _L,
    (_L, SessionStep.LEFT): _L,
}
"""A client's session."""
RUNNING: Final = frozenset({SessionState.OPEN, SessionState.LEAVING})
"""The states in which session frames may be sent."""


class Session:
    """One side's session of one connection."""

    __slots__ = (
        "_dialect",
        "_limits",
        "_output",
        "_stream",
        "_table",
        "decodes",
        "number",
        "state",
    )

    def __init__(
        self,
        table: Mapping[tuple[SessionState, SessionStep], SessionState],
        dialect: Dialect,
        limits: Limits,
        output: Output,
        stream: OutputStream,
    ) -> None:
        """Begin without a session.

        Args:
            table: The transitions of this side.
            dialect: The dialect of the connection.
            limits: Bounds payloads, and the output beside which pings are answered.
            output: The output of the connection.
            stream: The stream for this side's session frames.
        """
        self._table = table
        self._dialect = dialect
        self._limits = limits
        self._output = output
        self._stream = stream
        self.number = dialect.numbers[FrameType.SESSION]
        """The number of session frames."""
        self.state = SessionState.NONE
        self.decodes: tuple[bytes, ...] = ()
        """The profiles that the server decodes in command data, as a client has read."""

    @property
    def is_running(self) -> bool:
        """Both sides know the session: its frames may be sent."""
        return self.state in RUNNING

    def advance(self, step: SessionStep) -> None:
        """Change the state; no other code does.

        Raises:
            LocalProtocolError: The step has no place in this state; nothing was changed.
        """
        try:
            self.state = self._table[self.state, step]
        except KeyError:
            message = f"session step {step.name}, which has no place while {self.state.name}"
            raise LocalProtocolError(message) from None

    # --- receiving ---------------------------------------------------------------------------

    def receive(self, frame: Frame) -> SessionReceived:
        """Receive a session frame, and answer it if it is a ping.

        Raises:
            RemoteProtocolError: The frame has no place here, or no valid form.
        """
        step = self._check(frame)
        event: SessionReceived
        match step:
            case SessionStep.CANCEL:
                event = RequestCancelled(request_id=frame.request_id)
            case SessionStep.PING:
                event = PingReceived()
            case SessionStep.PONG:
                event = PongReceived(payload=frame.payload)
            case SessionStep.HELLO:
                event = self._read_hello(frame.payload)
            case _:
                event = self._read_go_away(frame.payload)
        self.advance(step)
        # Output that waits is life enough: pongs after it would only make it more.
        if step is SessionStep.PING and self._output.size <= self._limits.output_high:
            self._send(SessionStep.PONG, frame.payload)
        return event

    def _check(self, frame: Frame) -> SessionStep:
        """Return the kind of a frame whose header has a place here, and whose payload has its size.

        Raises:
            RemoteProtocolError: It has none.
        """
        if frame.flags not in _FRAMES:
            raise _refused(f"session frame with flags {frame.flags}, which have no meaning")
        step = SessionStep(frame.flags)
        name = step.name.lower().replace("_", "")
        if (self.state, step) not in self._table:
            raise _refused(f"session frame {name} has no place here")
        if frame.stream_flags & ENCODED:
            raise _refused(f"session frame {name} is content encoded")
        if frame.request_id and step is not SessionStep.CANCEL:
            raise _refused(f"session frame {name} with request id {frame.request_id}, not 0")
        most = _MOST.get(step, _LARGEST_PAYLOAD)
        if len(frame.payload) > most:
            size = len(frame.payload)
            raise _refused(f"session frame {name} with a payload of {size} bytes, over {most}")
        return step

    def _read_hello(self, payload: bytes) -> SessionStarted:
        match self._decode(payload, "hello"):
            case {
                b"version": int() as version,
                b"contentencodings": list() as profiles,
                **more,
            } if version == VERSION and all(isinstance(one, bytes) for one in profiles):
                self.decodes = tuple(profiles)
                running = more.get(b"running_commands")
                return SessionStarted(
                    content_encodings=self.decodes,
                    running_commands=running if type(running) is int and running > 0 else None,
                )
        raise _refused(f"session frame hello without version {VERSION} and contentencodings")

    def _read_go_away(self, payload: bytes) -> GoAwayReceived:
        match self._decode(payload, "goaway"):
            case {b"reason": bytes() as reason}:
                return GoAwayReceived(reason=reason)
        raise _refused("session frame goaway without a reason")

    def _decode(self, payload: bytes, name: str) -> object:
        try:
            return decode_first(payload, self._dialect.cbor, self._limits)
        except CborError as error:
            raise _refused(f"error decoding CBOR from session frame {name}: {error}") from error

    # --- sending -----------------------------------------------------------------------------

    def send_hello(self, content_encodings: Sequence[bytes]) -> None:
        """Start the session that the client has offered.

        Args:
            content_encodings: The profiles that this side decodes in command data.

        Raises:
            LocalProtocolError: It was started already.
        """
        self.advance(SessionStep.STARTED)
        profiles: list[Value] = list(content_encodings)
        content = self._encode(
            {
                b"version": VERSION,
                b"contentencodings": profiles,
                b"running_commands": self._limits.running_commands,
            }
        )
        self._send(SessionStep.HELLO, content)

    def send_cancel(self, request_id: int) -> None:
        """Ask the server to stop a request."""
        self._stream.send(request_id, FrameType.SESSION, SessionStep.CANCEL, b"")

    def send_ping(self, payload: bytes) -> None:
        """Ask the peer for a pong with the same payload.

        Raises:
            LocalProtocolError: The payload has more than 64 bytes.
        """
        if len(payload) > _LARGEST_PING:
            message = f"a ping of {len(payload)} bytes: it has at most {_LARGEST_PING}"
            raise LocalProtocolError(message)
        self._send(SessionStep.PING, payload)

    def send_go_away(self, reason: bytes) -> None:
        """Say that this side ends the session.

        Args:
            reason: A text for people, of which 1024 bytes are sent at most.

        Raises:
            LocalProtocolError: There is no session.
        """
        self.advance(SessionStep.LEFT)
        self._send(SessionStep.GO_AWAY, self._encode({b"reason": reason[:_LONGEST_REASON]}))

    def _send(self, step: SessionStep, payload: bytes) -> None:
        self._stream.send(0, FrameType.SESSION, step, payload)

    def _encode(self, value: Value) -> bytes:
        return cbor.encode(value, self._dialect.cbor.key_order)


_MOST: Final[Mapping[SessionStep, int]] = {
    SessionStep.CANCEL: 0,
    SessionStep.PING: _LARGEST_PING,
    SessionStep.PONG: _LARGEST_PING,
}
"""The largest payloads in bytes, where they are less than those of all."""


def _refused(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, malformed=True)
