"""Counts how often peers cross each limit, and logs it without being a burden itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

_BETWEEN_LINES: Final = 60.0
"""Seconds between two lines about one limit: an attack must not fill the disk with its own log."""


class LimitHits:
    """Counts the limits that were hit, by their names.

    Args:
        clock: Tells the time.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.counts: Counter[str] = Counter()
        """How often each limit was hit, by the name of its field."""
        self._logged: dict[str, tuple[float, int]] = {}
        """When each limit was logged last, and its count then."""

    def hit(self, name: str, value: object, peer: Any) -> None:  # noqa: ANN401 shown only if logged
        """Count a hit; the first is logged, and the first one a minute after each line.

        Args:
            name: The field of `Limits`.
            value: Its value.
            peer: The peer that has hit it.
        """
        self.counts[name] += 1
        count, now = self.counts[name], self._clock.seconds()
        at, before = self._logged.get(name, (None, 0))
        if at is not None and now - at < _BETWEEN_LINES:
            return
        self._logged[name] = (now, count)
        self._log.warn(
            "limit {name} ({value}) was hit by {peer}; {count} times since the last such line",
            name=name,
            value=value,
            peer=peer,
            count=count - before,
        )
