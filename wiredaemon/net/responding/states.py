"""The tables of this room: how a connection's input and a running request go on, and who may read.

Each has one enum of states, one of steps, a table, and one function that looks it up; a pair that
is not in the table is a fault of ours. Tests walk every pair.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final

from wiredaemon.net.responding.interfaces import Load
from wiredaemon.protocol import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Enums of integers, for the tables are asked for each read: other members are hashed in Python.


class InputStage(IntEnum):
    """How far the input of a connection has come."""

    OPEN = auto()
    DECIDING = auto()
    """It is asked whether a request may run; what came behind it is not looked at."""
    ENDING = auto()
    """The peer has sent all, and frames of it are not looked at yet."""
    DECIDING_LAST = auto()
    """As `DECIDING`, and the peer has sent all."""
    ENDED = auto()


class InputStep(IntEnum):
    """What moves the input from one stage to another."""

    ASK = auto()
    DECIDED = auto()
    PEER_ENDED = auto()
    ALL_SEEN = auto()


STAGES: Final[Mapping[tuple[InputStage, InputStep], InputStage]] = {
    (InputStage.OPEN, InputStep.ASK): InputStage.DECIDING,
    (InputStage.OPEN, InputStep.PEER_ENDED): InputStage.ENDING,
    (InputStage.DECIDING, InputStep.DECIDED): InputStage.OPEN,
    (InputStage.DECIDING, InputStep.PEER_ENDED): InputStage.DECIDING_LAST,
    (InputStage.ENDING, InputStep.ASK): InputStage.DECIDING_LAST,
    (InputStage.ENDING, InputStep.ALL_SEEN): InputStage.ENDED,
    (InputStage.DECIDING_LAST, InputStep.DECIDED): InputStage.ENDING,
}
DECIDING: Final = frozenset({InputStage.DECIDING, InputStage.DECIDING_LAST})
"""The stages in which events wait for a decision."""


def advance_input(stage: InputStage, step: InputStep) -> InputStage:
    """Return the stage of a connection's input that follows.

    Raises:
        LocalProtocolError: The step is not possible in that stage.
    """
    try:
        return STAGES[stage, step]
    except KeyError:
        raise LocalProtocolError(f"{step.name} while {stage.name}") from None


class Backlog(IntEnum):
    """What a connection has received and nobody has taken."""

    NOTHING = auto()
    FRAMES = auto()
    """Frames wait inside: as many requests as may be are not answered."""
    DECISION = auto()
    """Events wait behind a request that is being decided."""
    DATA = auto()
    """A running command does not take its data as fast as it comes."""


MAY_READ: Final[Mapping[tuple[Backlog, Load], bool]] = {
    (Backlog.NOTHING, Load.ANSWERING): True,
    (Backlog.NOTHING, Load.NEEDING_DATA): True,
    # Requests that came now would only wait as well.
    (Backlog.NOTHING, Load.BLOCKED): False,
    (Backlog.FRAMES, Load.ANSWERING): False,
    # More bytes would wait behind the same frames; those are read beyond the limit instead.
    (Backlog.FRAMES, Load.NEEDING_DATA): False,
    (Backlog.FRAMES, Load.BLOCKED): False,
    (Backlog.DECISION, Load.ANSWERING): False,
    (Backlog.DECISION, Load.NEEDING_DATA): False,
    (Backlog.DECISION, Load.BLOCKED): False,
    (Backlog.DATA, Load.ANSWERING): False,
    (Backlog.DATA, Load.NEEDING_DATA): False,
    (Backlog.DATA, Load.BLOCKED): False,
}
"""Whether the peer is read from: the one place that decides it."""


# --- running requests -----------------------------------------------------------------------------


class RequestState(IntEnum):
    """What goes on with a request whose command was called."""

    RUNNING = auto()
    """Its code runs now, or its next object is sent."""
    WAITING = auto()
    """A Deferred, a coroutine or a thread has not come to its result."""
    STALLED = auto()
    """The output has no room for its objects."""
    YIELDED = auto()
    """Other connections have their turn; its objects go on in the reactor's next one."""
    ENCODING = auto()
    """An object is content encoded in a thread."""
    ENDED = auto()


class RequestStep(IntEnum):
    """What moves a request from one state to another."""

    WAIT = auto()
    STALL = auto()
    YIELD = auto()
    ENCODE = auto()
    GO_ON = auto()
    END = auto()


TRANSITIONS: Final[Mapping[tuple[RequestState, RequestStep], RequestState]] = {
    (RequestState.RUNNING, RequestStep.WAIT): RequestState.WAITING,
    (RequestState.RUNNING, RequestStep.STALL): RequestState.STALLED,
    (RequestState.RUNNING, RequestStep.YIELD): RequestState.YIELDED,
    (RequestState.RUNNING, RequestStep.ENCODE): RequestState.ENCODING,
    (RequestState.WAITING, RequestStep.GO_ON): RequestState.RUNNING,
    (RequestState.STALLED, RequestStep.GO_ON): RequestState.RUNNING,
    (RequestState.YIELDED, RequestStep.GO_ON): RequestState.RUNNING,
    (RequestState.ENCODING, RequestStep.GO_ON): RequestState.RUNNING,
    # A command may be cancelled, or fail, whatever it is doing.
    (RequestState.RUNNING, RequestStep.END): RequestState.ENDED,
    (RequestState.WAITING, RequestStep.END): RequestState.ENDED,
    (RequestState.STALLED, RequestStep.END): RequestState.ENDED,
    (RequestState.YIELDED, RequestStep.END): RequestState.ENDED,
    (RequestState.ENCODING, RequestStep.END): RequestState.ENDED,
}


def advance_request(state: RequestState, step: RequestStep) -> RequestState:
    """Return the state of a running request that follows.

    Raises:
        LocalProtocolError: The step is not possible in that state.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise LocalProtocolError(f"{step.name} while {state.name}") from None
