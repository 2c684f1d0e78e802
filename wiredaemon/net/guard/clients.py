"""The clients that connections are counted for: addresses, or the networks that one client has."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

_PREFIX: Final = 64
"""Bits of an IPv6 network that is given to one customer, who can use any address in it."""


def client_key(address: Any) -> str | None:  # noqa: ANN401 any IAddress, which has no fields
    """Return what stands for all connections of one client, by the address of one of them.

    It is the address itself in IPv4 and the network of 64 bits in IPv6. None is returned for
    loopback and Unix sockets: who is behind them nobody knows, a proxy perhaps.
    """
    host = getattr(address, "host", None)
    if not isinstance(host, str):
        return None
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # A socket that accepts both kinds shows IPv4 addresses in this form.
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None:
        parsed = mapped
    if parsed.is_loopback:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, _PREFIX), strict=False))
    return str(parsed)
