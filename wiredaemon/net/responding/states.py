"""The state tables of this package: a connection's input, pausing the peer, and a running request.

A machine is an enumeration of states, one of steps, a table, and one function that looks up the
next state; a pair that is not in the table is a fault of ours. Tests walk every pair.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final

from wiredaemon.net.responding.interfaces import Load
from wiredaemon.protocol import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Enumerations of integers, because the tables are looked up for each read: members of a plain Enum
# are hashed by a function in Python (findings/enum-members-hash-in-python.sh).


class InputStage(IntEnum):
    """The stage of a connection's input."""

    OPEN = auto()
    """The peer may send more, and events are handled as they come."""
    DECIDING = auto()
    """The admission of a request is not decided; events after it wait."""
    ENDING = auto()
    """The peer has ended its side, and frames of it still wait inside."""
    DECIDING_LAST = auto()
    """The same as `DECIDING`, but the peer has ended its side."""
    ENDED = auto()
    """The peer has ended its side, and all its frames were handled."""


class InputStep(IntEnum):
    """The events that move the input from one stage to another."""

    ASK = auto()
    """The settings that admit a request must be asked for."""
    DECIDED = auto()
    """The request was admitted or refused."""
    PEER_ENDED = auto()
    """The peer has ended its side."""
    ALL_SEEN = auto()
    """No frame waits inside."""


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
MAY_WAIT: Final = frozenset({InputStage.OPEN, InputStage.ENDING})
"""The stages in which the input may let other connections go first."""


def advance_input(stage: InputStage, step: InputStep) -> InputStage:
    """Return the stage of a connection's input after a step.

    Raises:
        LocalProtocolError: The step is not possible in that stage.
    """
    try:
        return STAGES[stage, step]
    except KeyError:
        raise LocalProtocolError(f"{step.name} while {stage.name}") from None


class Backlog(IntEnum):
    """The input that a connection has received and that waits to be handled."""

    NOTHING = auto()
    FRAMES = auto()
    """Frames wait inside, because as many requests as allowed are unanswered."""
    DECISION = auto()
    """Events wait behind a request that is being decided."""
    DATA = auto()
    """A running command reads its data slower than it arrives."""


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
"""Whether the connection reads from its peer; only this table decides it."""


# --- running requests -----------------------------------------------------------------------------


class RequestState(IntEnum):
    """The state of a request whose command was called."""

    RUNNING = auto()
    """Its code runs now, or its next object is sent."""
    WAITING = auto()
    """A Deferred, a coroutine or a thread has no result so far."""
    STALLED = auto()
    """The output has no room for its objects."""
    YIELDED = auto()
    """Other connections have their turn; its next object is sent in the reactor's next turn."""
    ENCODING = auto()
    """A large object is being encoded in a thread."""
    ABANDONED = auto()
    """It was cancelled meanwhile, and is answered when the thread has done its work."""
    ENDED = auto()
    """The response is complete, or the request was cancelled."""


class RequestStep(IntEnum):
    """The events that move a request from one state to another."""

    WAIT = auto()
    STALL = auto()
    YIELD = auto()
    ENCODE = auto()
    GO_ON = auto()
    ABANDON = auto()
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
    (RequestState.ENCODING, RequestStep.ABANDON): RequestState.ABANDONED,
    # A command may be cancelled, or fail, whatever it is doing.
    (RequestState.RUNNING, RequestStep.END): RequestState.ENDED,
    (RequestState.WAITING, RequestStep.END): RequestState.ENDED,
    (RequestState.STALLED, RequestStep.END): RequestState.ENDED,
    (RequestState.YIELDED, RequestStep.END): RequestState.ENDED,
    (RequestState.ENCODING, RequestStep.END): RequestState.ENDED,
    (RequestState.ABANDONED, RequestStep.END): RequestState.ENDED,
}


def advance_request(state: RequestState, step: RequestStep) -> RequestState:
    """Return the state of a running request after a step.

    Raises:
        LocalProtocolError: The step is not possible in that state.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise LocalProtocolError(f"{step.name} while {state.name}") from None
