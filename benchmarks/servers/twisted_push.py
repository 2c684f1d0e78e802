"""A Twisted push producer: sends 256 MiB in writes of 32 KiB, unframed, for each byte received."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from benchmarks.servers.listening import serve
from benchmarks.wire import BULK, PIECE


@implementer(IPushProducer)
class Push(Protocol):
    """Writes while the transport accepts more."""

    # A consumer too, of which the interfaces of transports say nothing.
    transport: Any
    _left = 0
    _is_paused = False

    def connectionMade(self) -> None:
        """Register as the transport's producer, which pauses this when it is full."""
        self.transport.registerProducer(self, streaming=True)
        self._piece = bytes(PIECE)

    def dataReceived(self, data: bytes) -> None:
        """Send 256 MiB more."""
        self._left += len(data) * BULK
        self._write()

    def pauseProducing(self) -> None:
        """Stop writing: the transport holds enough."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Write again: the transport has sent its buffer."""
        self._is_paused = False
        self._write()

    def stopProducing(self) -> None:
        """Stop: the peer has gone."""
        self._left = 0

    def _write(self) -> None:
        while self._left and not self._is_paused:
            self._left -= PIECE
            self.transport.write(self._piece)


if __name__ == "__main__":
    serve(Factory.forProtocol(Push))
