"""The flow of a connection's input: when its peer is paused and resumed.

Source: reliability, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from wiredaemon.net.responding.data_input import DataInput
from wiredaemon.net.responding.states import DECIDING, MAY_READ, Backlog, InputStage

if TYPE_CHECKING:
    from wiredaemon.net.responding.interfaces import InputTransport, Requests
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.limits import Limits


class InputFlow(ABC):
    """Pauses the peer of one connection while too much of its input waits."""

    __slots__ = (
        "_connection",
        "_data",
        "_is_paused",
        "_is_working",
        "_requests",
        "_stage",
        "_transport",
    )

    def __init__(
        self,
        connection: ServerConnection,
        transport: InputTransport,
        requests: Requests,
        limits: Limits,
    ) -> None:
        """Begin with an open input that is read."""
        self._connection = connection
        self._transport = transport
        self._requests = requests
        self._stage = InputStage.OPEN
        self._data = DataInput(requests, limits)
        self._is_working = False
        """Events are being handled: a call of `proceed` meanwhile does nothing, for one follows."""
        self._is_paused = False

    def _regulate(self, backlog: Backlog) -> None:
        """Pause or resume the peer, if the table says so."""
        requests = self._requests
        if requests.is_over:
            return
        # After the end nothing is read, but a transport that was paused before must be resumed:
        # otherwise it would never notice that the connection is lost.
        may_read = self._stage is InputStage.ENDED or MAY_READ[backlog, requests.load()]
        if may_read is not self._is_paused:
            return
        self._is_paused = not self._is_paused
        if self._is_paused:
            self._transport.pause_input()
        else:
            self._transport.resume_input()

    def _waiting(self) -> Backlog:
        if self._stage in DECIDING:
            return Backlog.DECISION
        if self._connection.pending:
            return Backlog.FRAMES
        if self._data.incoming and self._data.is_backed_up(self._is_paused):
            return Backlog.DATA
        return Backlog.NOTHING

    def _on_data_taken(self) -> None:
        # While events are handled, `proceed` comes after them anyway.
        if self._is_working or not self._is_paused:
            return
        if self._connection.pending:
            self.proceed()
        else:
            self._regulate(self._waiting())

    @abstractmethod
    def proceed(self) -> None:
        """Handle input that waits, and read from the peer or pause it."""
