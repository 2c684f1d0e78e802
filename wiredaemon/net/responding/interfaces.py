"""What a Responder needs of its transport: where output goes, and which commands may run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Command
    from wiredaemon.net.responding.context import Origin
    from wiredaemon.protocol import RemoteProtocolError, RequestReceived
    from wiredaemon.wire.frames import EncodedFrame


class Sink(Protocol):
    """Where a responder's output goes."""

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Send frames; the responder is paused and resumed as a push producer."""

    def pause_input(self) -> None:
        """Stop feeding the responder, as far as possible."""

    def resume_input(self) -> None:
        """Go on feeding it."""

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """Give the answer to broken input; nothing follows."""

    def refused(self, answer: Any) -> None:  # noqa: ANN401 what the admission raised
        """Give the answer of a refused admission; nothing follows."""

    def responses_finished(self) -> None:
        """All input was received and all of it is answered."""


class ExchangeRefusedError(Exception):
    """A request ends the whole exchange: its sink gives the answer."""

    def __init__(self, answer: Any) -> None:  # noqa: ANN401 the sink knows it
        super().__init__()
        self.answer = answer


class Admitted(NamedTuple):
    """A request that may run."""

    command: Command
    origin: Origin


class Admission(Protocol):
    """Which commands a connection may run."""

    def expects_data(self, event: RequestReceived) -> bool:
        """Say whether the request is for a command that may run while its data arrives."""

    def admit(self, event: RequestReceived) -> Admitted | Deferred[Admitted]:
        """Give the command to run; a Deferred where that must be asked for first.

        Raises, or fails with:
            CommandError, ServerError: This request gets that for an answer.
            ExchangeRefusedError: The whole exchange ends.
        """
