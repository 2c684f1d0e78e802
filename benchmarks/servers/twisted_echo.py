"""A Twisted Protocol that sends back the bytes it receives: the limit of the transport."""

from __future__ import annotations

import sys

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol

from benchmarks.servers.listening import serve


class Echo(Protocol):
    """Sends back the bytes it receives, without knowing where a message ends."""

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Turn Nagle's algorithm off."""
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Send the bytes back."""
        self.transport.write(data)


if __name__ == "__main__":
    serve(Factory.forProtocol(Echo), *sys.argv[1:])
