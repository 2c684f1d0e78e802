"""A Twisted Int32StringReceiver that sends back each message: the simplest framing."""

from __future__ import annotations

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory
from twisted.protocols.basic import Int32StringReceiver

from benchmarks.servers.listening import serve


class Echo(Int32StringReceiver):
    """Sends back each message."""

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Turn Nagle's algorithm off."""
        self.transport.setTcpNoDelay(True)

    def stringReceived(self, string: bytes) -> None:
        """Send the message back."""
        self.sendString(string)


if __name__ == "__main__":
    serve(Factory.forProtocol(Echo))
