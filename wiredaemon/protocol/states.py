"""The states of a server's connection: one table for its input, one for its output.

A single stream, request or response has its own state. These two tables define only which input the
connection as a whole still accepts, and which output it may still send.

Source: server-state-machine, sections 1.2 and 1.11.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.wire.dialects import FrameType

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Member(Enum):
    """An enumeration whose members are looked up in tables for each frame."""

    # There is one object for each member; Enum's own hashes the name anew, in Python, in 0.15 us.
    __hash__ = object.__hash__


class InputState(_Member):
    """The state of a connection's input; the values are the names that debugreflect shows."""

    INITIAL = "initial"
    """No frame was received; sender protocol settings may come first."""
    SETTINGS = "protocol-settings-receiving"
    """Sender protocol settings have begun and go on in the next frame."""
    REQUESTS = "requests"
    """Frames belong to requests; debugreflect shows ``idle`` or ``command-receiving`` instead."""
    ENDED = "ended"
    """The peer has closed its side."""
    ERRORED = "errored"
    """The peer has broken the protocol; nothing more is read."""


class Incomplete(Enum):
    """The unit of input that has begun and not ended, the one that began first."""

    HEADER = auto()
    """The header of a frame, and nothing around it."""
    REQUEST = auto()
    """A request, sender protocol settings, or the payload of a frame."""


class InputEvent(_Member):
    """The events that change the state of a connection's input."""

    SETTINGS_FRAME = "a frame of sender protocol settings"
    SETTINGS_COMPLETE = "the last frame of sender protocol settings was accepted"
    REQUEST_FRAME = "a command request frame"
    OTHER_FRAME = "any other frame"
    END = "no more bytes follow"
    FAILURE = "the peer broke the protocol"


INPUT_TRANSITIONS: Final[Mapping[tuple[InputState, InputEvent], InputState]] = {
    (InputState.INITIAL, InputEvent.SETTINGS_FRAME): InputState.SETTINGS,
    (InputState.INITIAL, InputEvent.REQUEST_FRAME): InputState.REQUESTS,
    (InputState.INITIAL, InputEvent.END): InputState.ENDED,
    (InputState.INITIAL, InputEvent.FAILURE): InputState.ERRORED,
    (InputState.SETTINGS, InputEvent.SETTINGS_FRAME): InputState.SETTINGS,
    (InputState.SETTINGS, InputEvent.SETTINGS_COMPLETE): InputState.REQUESTS,
    (InputState.SETTINGS, InputEvent.END): InputState.ENDED,
    (InputState.SETTINGS, InputEvent.FAILURE): InputState.ERRORED,
    # What may come inside and between requests is for the requests' own table.
    (InputState.REQUESTS, InputEvent.SETTINGS_FRAME): InputState.REQUESTS,
    (InputState.REQUESTS, InputEvent.REQUEST_FRAME): InputState.REQUESTS,
    (InputState.REQUESTS, InputEvent.OTHER_FRAME): InputState.REQUESTS,
    (InputState.REQUESTS, InputEvent.END): InputState.ENDED,
    (InputState.REQUESTS, InputEvent.FAILURE): InputState.ERRORED,
    (InputState.ENDED, InputEvent.FAILURE): InputState.ERRORED,
    (InputState.ERRORED, InputEvent.FAILURE): InputState.ERRORED,
}

_FRAME_EVENTS: Final[Mapping[FrameType | None, InputEvent]] = {
    FrameType.SENDER_PROTOCOL_SETTINGS: InputEvent.SETTINGS_FRAME,
    FrameType.COMMAND_REQUEST: InputEvent.REQUEST_FRAME,
}

_REFUSED_FRAMES: Final[Mapping[InputState, str]] = {
    InputState.INITIAL: "expected sender protocol settings or command request frame; got {}",
    InputState.SETTINGS: "expected sender protocol settings frame; got {}",
    InputState.ENDED: "input has ended",
    InputState.ERRORED: "server already errored",
}
"""The texts, Mercurial's but for the third, for a frame that has no place; ``{}`` is its type."""


def advance_input(state: InputState, event: InputEvent) -> InputState:
    """Return the state that follows.

    Raises:
        LocalProtocolError: The table has no such pair; nothing was changed.
    """
    try:
        return INPUT_TRANSITIONS[state, event]
    except KeyError:
        message = f"{event.value}, which has no place in the input state {state.value}"
        raise LocalProtocolError(message) from None


def frame_event(kind: FrameType | None) -> InputEvent:
    """Return the event of a frame of this type; None stands for an unknown type."""
    return _FRAME_EVENTS.get(kind, InputEvent.OTHER_FRAME)


def refused_frame(
    state: InputState, kind: FrameType | None, type_number: int
) -> RemoteProtocolError | None:
    """Return the error for a frame that has no place in the table, None for one that has."""
    if (state, frame_event(kind)) in INPUT_TRANSITIONS:
        return None
    return RemoteProtocolError(_REFUSED_FRAMES[state].format(type_number))


class OutputState(_Member):
    """The state of a connection's output."""

    HELD = "held"
    """Half duplex: frames are kept until input ends, or until the output is released."""
    OPEN = "open"
    """Frames leave as they are made."""
    FAILING = "failing"
    """Input has failed: requests in front of the failure may be answered, then it is reported."""
    ENDED = "ended"
    """Nothing can be sent any more."""


class OutputEvent(_Member):
    """The events that change the state of a connection's output."""

    RELEASED = "output may leave before input has ended"
    INPUT_ENDED = "no more bytes come from the peer"
    INPUT_FAILED = "the peer broke the protocol"
    FAILURE_SENT = "the error frame that reports the failure was made"


OUTPUT_TRANSITIONS: Final[Mapping[tuple[OutputState, OutputEvent], OutputState]] = {
    (OutputState.HELD, OutputEvent.RELEASED): OutputState.OPEN,
    (OutputState.HELD, OutputEvent.INPUT_ENDED): OutputState.OPEN,
    # "A later protocol error therefore discards the response": the caller answers instead.
    (OutputState.HELD, OutputEvent.INPUT_FAILED): OutputState.ENDED,
    (OutputState.OPEN, OutputEvent.RELEASED): OutputState.OPEN,
    (OutputState.OPEN, OutputEvent.INPUT_ENDED): OutputState.OPEN,
    (OutputState.OPEN, OutputEvent.INPUT_FAILED): OutputState.FAILING,
    (OutputState.FAILING, OutputEvent.RELEASED): OutputState.FAILING,
    # Only the first failure is reported.
    (OutputState.FAILING, OutputEvent.INPUT_FAILED): OutputState.FAILING,
    (OutputState.FAILING, OutputEvent.FAILURE_SENT): OutputState.ENDED,
    (OutputState.ENDED, OutputEvent.RELEASED): OutputState.ENDED,
    (OutputState.ENDED, OutputEvent.INPUT_FAILED): OutputState.ENDED,
}


def advance_output(state: OutputState, event: OutputEvent) -> OutputState:
    """Return the state that follows.

    Raises:
        LocalProtocolError: The table has no such pair; nothing was changed.
    """
    try:
        return OUTPUT_TRANSITIONS[state, event]
    except KeyError:
        message = f"{event.value}, which has no place in the output state {state.value}"
        raise LocalProtocolError(message) from None
