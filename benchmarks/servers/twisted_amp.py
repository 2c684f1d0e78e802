"""Twisted AMP with one command: bytes in, bytes out."""

from __future__ import annotations

import sys
from typing import ClassVar

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory
from twisted.protocols import amp

from benchmarks.servers.listening import serve


class Echo(amp.Command):
    """Return the argument."""

    arguments: ClassVar = [(b"data", amp.String())]
    response: ClassVar = [(b"data", amp.String())]


class Peer(amp.AMP):
    """Answers calls of `Echo`."""

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Turn Nagle's algorithm off."""
        super().connectionMade()
        self.transport.setTcpNoDelay(True)

    @Echo.responder
    def echo(self, data: bytes) -> dict[str, bytes]:
        """Return the argument."""
        return {"data": data}


if __name__ == "__main__":
    serve(Factory.forProtocol(Peer), *sys.argv[1:])
