"""A listener's factory whose place another one can take while the port stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.protocol import ServerFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory


class CurrentFactory(ServerFactory):
    """Lets another factory make the protocols of new connections.

    Connections that are open keep the protocol, and with it the factory, that they began with.
    """

    # Twisted would log the start and the stop of each listener.
    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        self._current = factory
        self._is_started = False

    def replace(self, factory: IProtocolFactory) -> None:
        """Let new connections be those of ``factory``."""
        before, self._current = self._current, factory
        if self._is_started:
            # In this order: a site that several listeners share is never without one.
            factory.doStart()
            before.doStop()

    def startFactory(self) -> None:
        """Start the present factory."""
        self._is_started = True
        self._current.doStart()

    def stopFactory(self) -> None:
        """Stop it again."""
        self._is_started = False
        self._current.doStop()

    # Twisted declares less than its ports take.
    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        """Return the protocol of a new connection; None refuses it."""
        return self._current.buildProtocol(addr)
