"""Flow control of what a client sends: one push producer for all that is written to a transport."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class FlowControl:
    """Makes writers wait while the transport has enough; they `drain` after each piece."""

    def __init__(self) -> None:
        """Begin with a transport that takes more."""
        self._is_open = True
        self._waiting: list[Deferred[None]] = []

    async def drain(self) -> None:
        """Return when the transport takes more."""
        # The transport may be full again by the time that one of several writers is woken.
        while not self._is_open:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def pauseProducing(self) -> None:
        """Make writers wait: the transport holds enough."""
        self._is_open = False

    def resumeProducing(self) -> None:
        """Let writers go on: the transport has sent what it held."""
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    def stopProducing(self) -> None:
        """Let writers go on, for the transport has gone; they see that by themselves."""
        self.resumeProducing()
