"""Describes the peer of a transport: its printable address, and whether it is secure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport

from wiredaemon.commands import Peer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, ITransport


def show_address(address: IAddress) -> str:
    """Return a printable address: host and port, or the path of a Unix socket."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return f"{host}:{port}" if host is not None else str(getattr(address, "name", address))


def host_of(peer: Peer) -> str:
    """Return the host of a peer's address, without the port; of a Unix socket its path."""
    return peer.address.rpartition(":")[0] or peer.address


def is_local(address: str) -> bool:
    """Return whether an address, as `show_address` returns it, is of this machine."""
    return is_loopback(address.rpartition(":")[0])


# Each request asks, to know whose share of the workers counts: parsing an address takes 2 us or
# more, finding it again 0.05.
@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host is loopback, or no IP address at all: a Unix socket's path."""
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    # A socket that accepts both kinds shows IPv4 addresses in this form.
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


_NETWORKS: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
            *("::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""Loopback, private and link-local ones (RFC 1918, RFC 3927, RFC 4193, RFC 4291)."""


def is_in_reach(host: str) -> bool:
    """Return whether a host is on this machine or in a private network; no Unix socket is.

    Clients do not come through Unix sockets, only proxies.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in _NETWORKS)


def peer_of(transport: ITransport) -> Peer:
    """Return the peer of a raw transport.

    A Unix socket counts as secure: nobody stands between its ends, and the permissions of its file
    decide who may open it (docs/decisions.md).
    """
    is_local = isinstance(transport.getHost(), UNIXAddress)
    is_secure = is_local or ISSLTransport.providedBy(transport)
    return Peer(address=show_address(transport.getPeer()), is_secure=is_secure)
