"""Who is at the other end of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport

from wiredaemon.commands import Peer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, ITransport


def show_address(address: IAddress) -> str:
    """Give an address for people: host and port, or the path of a Unix socket."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return f"{host}:{port}" if host is not None else str(getattr(address, "name", address))


def peer_of(transport: ITransport) -> Peer:
    """Give the peer of a raw transport.

    A Unix socket counts as secure: nobody stands between its ends, and who may open it its file's
    permissions say.
    """
    is_local = isinstance(transport.getHost(), UNIXAddress)
    is_secure = is_local or ISSLTransport.providedBy(transport)
    return Peer(address=show_address(transport.getPeer()), is_secure=is_secure)
