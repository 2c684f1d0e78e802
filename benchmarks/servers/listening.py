"""A Twisted server on a loopback port that the system chooses, printed when it is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor as installed_reactor
from twisted.internet import ssl

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

# The installed reactor has every interface; its type says none.
reactor: Any = installed_reactor


def serve(factory: IProtocolFactory, certificate: str | None = None) -> None:
    """Serve until the process is ended.

    Args:
        factory: Makes the protocols.
        certificate: Name of a PEM file, certificate and private key, for TLS; None for plain TCP.
    """
    if certificate is None:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    else:
        pem = Path(certificate).read_text(encoding="ascii")
        options = ssl.PrivateCertificate.loadPEM(pem).options()
        port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
    print(f"port {port.getHost().port}", flush=True)
    reactor.run()
