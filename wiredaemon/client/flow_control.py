"""Waiting while a transport takes no more: one push producer for all that is written to it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Gate:
    """Open until the transport pauses it; those who write go through it after each piece."""

    def __init__(self) -> None:
        """Begin open."""
        self._is_open = True
        self._waiting: list[Deferred[None]] = []

    async def passed(self) -> None:
        """Go on when the gate is open."""
        while not self._is_open:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def pauseProducing(self) -> None:
        """Close: the transport holds enough."""
        self._is_open = False

    def resumeProducing(self) -> None:
        """Open: the transport has sent what it held."""
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    def stopProducing(self) -> None:
        """Let everybody pass: there is nothing left to protect, and they see that it is over."""
        self.resumeProducing()
