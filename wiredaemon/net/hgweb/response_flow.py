"""Flow control of one response: its writer waits while the client accepts no more.

The client library has a flow control of its own (`wiredaemon.client.flow_control`), which many
writers share. This one has a single writer, and no package of ``net`` may import the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable


@implementer(IPushProducer)
class ResponseFlow:
    """The producer of one response: paused and resumed by the connection it is written to.

    Args:
        stop: Is called when the connection has gone.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._is_paused = False
        self._writer: Deferred[None] | None = None
        """Fires when the paused writer may go on."""

    async def drain(self) -> None:
        """Wait until the client accepts more."""
        while self._is_paused:
            self._writer = Deferred()
            await self._writer

    def pauseProducing(self) -> None:
        """Make the writer wait: the connection holds enough."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Resume the writer."""
        self._is_paused = False
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.callback(None)

    def stopProducing(self) -> None:
        """Note that the connection has gone."""
        self._stop()
