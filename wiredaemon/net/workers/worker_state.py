"""The states of one worker and what moves it from one to the next."""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping


class WorkerState(Enum):
    """The state of a worker."""

    STARTING = auto()
    """The worker was started, and has not reported that it is ready."""
    IDLE = auto()
    """The worker waits for a command."""
    BUSY = auto()
    """The worker runs a command."""
    ENDING = auto()
    """The worker was asked to end, or is being killed; its command may still be answered."""
    LOST = auto()
    """Its process is gone."""


class WorkerInput(Enum):
    """The events of a worker."""

    READY = auto()
    """The worker reported that it can work."""
    RUN = auto()
    """The worker was sent a command."""
    ANSWERED = auto()
    """Its command is over, whether it was answered or failed."""
    END = auto()
    """Its input was closed, or it was sent a signal."""
    LOSE = auto()
    """Its process has ended and its output was read."""


_S, _I = WorkerState, WorkerInput

TRANSITIONS: Final[Mapping[tuple[WorkerState, WorkerInput], WorkerState]] = MappingProxyType(
    {
        (_S.STARTING, _I.READY): _S.IDLE,
        # The question whether it is ready is a command too.
        (_S.STARTING, _I.ANSWERED): _S.STARTING,
        (_S.STARTING, _I.END): _S.ENDING,
        (_S.STARTING, _I.LOSE): _S.LOST,
        (_S.IDLE, _I.RUN): _S.BUSY,
        (_S.IDLE, _I.END): _S.ENDING,
        (_S.IDLE, _I.LOSE): _S.LOST,
        (_S.BUSY, _I.ANSWERED): _S.IDLE,
        (_S.BUSY, _I.END): _S.ENDING,
        (_S.BUSY, _I.LOSE): _S.LOST,
        # It was told to end before it was ready.
        (_S.ENDING, _I.READY): _S.ENDING,
        (_S.ENDING, _I.ANSWERED): _S.ENDING,
        # First its input is closed, then it is sent SIGTERM, then it is killed.
        (_S.ENDING, _I.END): _S.ENDING,
        (_S.ENDING, _I.LOSE): _S.LOST,
        # The command of a worker that is lost fails.
        (_S.LOST, _I.ANSWERED): _S.LOST,
    }
)


def impossible(state: WorkerState, seen: WorkerInput) -> LocalProtocolError:
    """Return the error for a pair that the table lacks."""
    return LocalProtocolError(f"a worker cannot see {seen.name} while it is {state.name}")
