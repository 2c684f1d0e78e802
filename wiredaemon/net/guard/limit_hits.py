"""Counts how often peers cross each limit, and logs it without being a burden itself."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.guard.waits import FIELDS
from wiredaemon.net.repeated_lines import CountedLine
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

_NAMED: Final = re.compile(r"\((\w+)\)$")
"""The way in which messages to peers name the limit that was crossed: at their end."""
_COUNTED: Final = frozenset(FIELDS.values())
"""Limits of time, which the guard counts when it ends a wait."""


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
        self._lines: defaultdict[str, CountedLine] = defaultdict(CountedLine)
        """The log lines of each limit."""

    def hit_in(self, message: str, limits: Limits, peer: Any) -> None:  # noqa: ANN401 as below
        """Count the limit that an error for a peer names, if it names one.

        Args:
            message: The text of the error.
            limits: The limits that it was made from.
            peer: The peer that has hit it.
        """
        named = _NAMED.search(message)
        if named is None:
            return
        name = named[1]
        if name in Limits.__dataclass_fields__ and name not in _COUNTED:
            self.hit(name, getattr(limits, name), peer)

    def hit(self, name: str, value: object, peer: Any) -> None:  # noqa: ANN401 shown only if logged
        """Count a hit; the first is logged, and the first one a minute after each line.

        Args:
            name: The field of `Limits`.
            value: Its value.
            peer: The peer that has hit it.
        """
        self.counts[name] += 1
        count = self._lines[name].count(self._clock.seconds())
        if not count:
            return
        self._log.warn(
            "limit {name} ({value}) was hit by {peer}; {count} times since the last such line",
            name=name,
            value=value,
            peer=peer,
            count=count,
        )
