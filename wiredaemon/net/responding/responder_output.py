"""The output of a connection's Responder: when there is room for more, and who is told.

Source: reliability, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wiredaemon.net.responding.interfaces import NO_SOURCE

if TYPE_CHECKING:
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.net.responding.interfaces import ResponseTransport, Source
    from wiredaemon.net.responding.running_request import RunningRequest
    from wiredaemon.protocol import ServerConnection


@implementer(IPushProducer)
class ResponderOutput(ABC):
    """Passes the frames of a connection to its transport, which may pause what makes them."""

    __slots__ = (
        "connection",
        "is_over",
        "output_paused",
        "room",
        "source",
        "transport",
    )

    def __init__(
        self, connection: ServerConnection, transport: ResponseTransport, room: OutputRoom
    ) -> None:
        """Begin with room."""
        self.connection, self.transport, self.room = connection, transport, room
        self.output_paused = self.is_over = False
        # One object, not a callback for each of its methods: those take 80 bytes each.
        self.source: Source = NO_SOURCE

    def has_room(self, request: RunningRequest) -> bool:
        """Return whether output has room; held output of a request with data is released for it."""
        if self.output_paused:
            return False
        connection = self.connection
        if connection.output_size < self.room.high or not connection.output_held:
            return True
        if not request.command.has_data or request.data.ended:
            return False
        # Held output waits for the end of input, and the input for the command (docs/decisions.md).
        connection.release_output()
        self.flush()
        return not self.output_paused

    def flush(self) -> None:
        """Hand pending output to the transport.

        Once the input has failed nothing is sent here: its error follows the answers to the
        requests in front of it, and `fail` sends them all.
        """
        if not self.connection.failed:
            self.transport.send_output(self.connection)

    @abstractmethod
    def stop(self) -> None:
        """Cancel every command."""

    @abstractmethod
    def _go_on(self) -> None:
        """Resume every request whose objects had no room."""

    # --- for the transport -------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop starting requests and sending objects: the peer accepts no more for now."""
        self.output_paused = True

    def resumeProducing(self) -> None:
        """Start requests and send objects again: the peer accepts more."""
        self.output_paused = False
        if not self.is_over:
            self._go_on()
            self.source.proceed()

    def stopProducing(self) -> None:
        """Stop every command: the transport has gone."""
        self.stop()
