"""Counts the requests of clients behind trusted proxies, whose connections stand for many clients.

Source: reliability, section 3.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.places import place_of
from wiredaemon.net.guard.held_memory import RETRY
from wiredaemon.net.peer import is_loopback

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from wiredaemon.net.guard.limit_hits import LimitHits

_NAME: Final = "connections_per_address"
"""The field of `Limits`: over HTTP/1.1 a connection has one request at a time."""


class ForwardedRequests:
    """The requests of all clients that are being answered, by the places that they come from.

    Args:
        hits: Is told of requests too many.
        most: Requests of one place at once.
    """

    def __init__(self, hits: LimitHits, most: int) -> None:
        self._hits = hits
        self.most = most
        self._of_place: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of places with requests."""
        return len(self._of_place)

    def begin(self, host: str, ended: Deferred[None]) -> str | None:
        """Count a request until it has ended; return the text for its client if it is one too many.

        Args:
            host: The host of the client. One of the proxy's own machine is not counted.
            ended: Fires at the end of the request, with or without an answer.
        """
        if is_loopback(host):
            return None
        place = place_of(host)
        self._of_place[place] += 1
        ended.addBoth(self._end, place)
        if self._of_place[place] <= self.most:
            return None
        self._hits.hit(_NAME, self.most, host)
        shown = f"there are {self.most} requests from this address already"
        return f"{shown} ({_NAME}); try again in {RETRY} s"

    def _end(self, _: object, place: str) -> None:
        self._of_place[place] -= 1
        if not self._of_place[place]:
            del self._of_place[place]
