"""Bounds the requests of one client that fail or are broken off.

A request costs a client little that it gives up at once, and us all that it began: such requests
have a budget of their own (CVE-2023-44487).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.repository.recently_used import RecentlyUsed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from wiredaemon.wire.limits import Limits

_CLIENTS: Final = 10_000
"""Clients whose failures are remembered, those that failed last: some 300 bytes each."""


class FailedRequests:
    """A bucket of tokens for each client: a failure takes one, time puts them back.

    Args:
        limits: ``failed_requests`` and ``failed_requests_rate``.
        clock: Tells the time.
    """

    def __init__(self, limits: Limits, clock: IReactorTime) -> None:
        self._most = float(limits.failed_requests)
        self._rate = limits.failed_requests_rate
        self._clock = clock
        self._buckets: RecentlyUsed[str, tuple[float, float]] = RecentlyUsed(_CLIENTS)
        """Tokens that were left, and when."""

    def count(self, client: str) -> bool:
        """Take a token for a failure of a client; return whether there was one."""
        left = self._left(client)
        self._buckets.keep(client, (max(left - 1, 0.0), self._clock.seconds()))
        return left >= 1

    def seconds_to_wait(self, client: str) -> float:
        """Return how long a client must wait before it is served again; nearly always 0."""
        left = self._left(client)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def _left(self, client: str) -> float:
        known = self._buckets.peek(client)
        if known is None:
            return self._most
        left, at = known
        # A clock that was set back puts nothing back.
        left += max(self._clock.seconds() - at, 0.0) * self._rate
        if left >= self._most:
            self._buckets.remove(client)
            return self._most
        return left
