"""Places: the addresses that failed logins are counted for, and those where users are known."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ONE_CUSTOMER: Final = 64
"""Bits of an IPv6 address that are one customer's: all addresses behind them are free for one."""

PLACES_OF_ONE: Final = 16
"""Places that are known for one user: at home, at work, on the way."""


@lru_cache(maxsize=1024)
def place_of(address: str) -> str:
    """Return the place of an address: itself, or for IPv6 the network of its first 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    # A socket that accepts both kinds shows IPv4 addresses so: one client has one place on any
    # listener.
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), _ONE_CUSTOMER), strict=False))


class KnownPlaces:
    """The places from which each user has logged in by password.

    One user has ``PLACES_OF_ONE`` at the most: somebody who may log in, and does so from many
    places, makes none of others forgotten.

    Args:
        seconds: The time that a place stays known after the last login.
        most: Users that are kept, those who logged in last.
        now: Returns the time in seconds.
    """

    def __init__(self, seconds: float, most: int, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._now = now
        self._seen: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Return whether a user has logged in from a place."""
        user, place = pair
        seen = self._seen.get(user, _NOWHERE).get(place)
        return seen is not None and self._now() - seen < self._seconds

    def add(self, user: str, place: str) -> None:
        """Remember that a user has just logged in from a place."""
        places = self._seen.setdefault(user, OrderedDict())
        self._seen.move_to_end(user)
        places[place] = self._now()
        places.move_to_end(place)
        if len(places) > PLACES_OF_ONE:
            places.popitem(last=False)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)


_NOWHERE: Final[OrderedDict[str, float]] = OrderedDict()
