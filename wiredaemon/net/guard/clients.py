"""The clients that connections are counted for: addresses, or the networks that one client has."""

from __future__ import annotations

from typing import Any

from wiredaemon.accounts.places import place_of
from wiredaemon.net.peer import is_loopback


def client_key(address: Any) -> str | None:  # noqa: ANN401 any IAddress, which has no fields
    """Return what stands for all connections of one client, by the address of one of them.

    It is the place that failed logins are counted for, too. None is returned for loopback and Unix
    sockets: who is behind them nobody knows, a proxy perhaps.
    """
    host = getattr(address, "host", None)
    return None if not isinstance(host, str) or is_loopback(host) else place_of(host)
