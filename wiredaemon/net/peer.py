"""Describes the peer of a transport: its printable address, and whether it is secure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport

from wiredaemon.commands import Peer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, ITransport


def show_address(address: IAddress) -> str:
    """Return a printable address: host and port, or the path of a Unix socket."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return f"{host}:{port}" if host is not None else str(getattr(address, "name", address))


def peer_of(transport: ITransport) -> Peer:
    """Return the peer of a raw transport.

    A Unix socket counts as secure: nobody stands between its ends, and the permissions of its file
    decide who may open it (docs/decisions.md).
    """
    is_local = isinstance(transport.getHost(), UNIXAddress)
    is_secure = is_local or ISSLTransport.providedBy(transport)
    return Peer(address=show_address(transport.getPeer()), is_secure=is_secure)
