"""Counts what peers make the daemon hold, all connections together, and bounds it.

Connections tell what they hold when it has grown by much, and are asked at each look. So a burst
between two looks is counted as it arrives, and small requests cost nothing.

Source: reliability, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.net.guard.machine_memory import machine_memory
from wiredaemon.net.guard.output_room import OutputRoom
from wiredaemon.net.guard.waits import NOTHING_HELD, Expiry

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.guard.guard import Guarded
    from wiredaemon.net.guard.waits import Held
    from wiredaemon.wire.limits import Limits

STEP: Final = 64 * 1024
"""Bytes of growth that a connection tells at once; less is counted at the next look."""
RETRY: Final = 10
"""Seconds after which a peer that was refused may come again."""
_SHARE: Final = 4
"""The part of the machine's memory that may be held, where `Limits` names no number."""
_HARD: Final = 1.2
"""Times the limit at which a connection is closed: 30 % of the memory, where the limit is 25 %."""


class HeldMemory:
    """The account of all connections.

    Args:
        limits: ``held_memory``, ``unfinished_bytes`` and ``output_high``.
        refuse: Ends a request of a connection with an error.
        cut_off: Closes a connection without a word.
    """

    def __init__(
        self,
        limits: Limits,
        refuse: Callable[[Guarded, Expiry], object],
        cut_off: Callable[[Guarded, Expiry], object],
    ) -> None:
        self._refuse = refuse
        self._cut_off = cut_off
        self._held: dict[Guarded, Held] = {}
        """Connections that hold anything."""
        self.size = 0
        """Bytes held for all of them."""
        self.unfinished = 0
        """Those of them in requests that have not ended, of peers who have not logged in."""
        self.room = OutputRoom(limits)
        """The output that each connection may have."""
        self.use(limits)

    def use(self, limits: Limits) -> None:
        """Use other bounds from now on."""
        self.most = limits.held_memory or machine_memory() // _SHARE
        self._most_unfinished = limits.unfinished_bytes
        self.room.use(limits)

    def __contains__(self, connection: Guarded) -> bool:
        """Return whether a connection holds anything, as far as is known."""
        return connection in self._held

    @property
    def is_crowded(self) -> bool:
        """Many requests or bodies come at once: none of them is read in large pieces."""
        return self.unfinished > self._most_unfinished // 4

    def tell(self, connection: Guarded, held: Held) -> None:
        """Count what a connection holds after a read or a write; refuse it if it is too much."""
        before = self._held.get(connection, NOTHING_HELD)
        if abs(held.size - before.size) < STEP and (held.size or not before.size):
            return
        self.count(connection, held)
        if held.size <= before.size or connection not in self._held:
            return
        if held.unfinished > before.unfinished and self.size > self.most:
            self._give_up(connection, self._refuse, "held_memory", self.most)

    def count(self, connection: Guarded, held: Held) -> None:
        """Count what a connection holds; far beyond the limit, close the one that holds most.

        Of the peers who have not logged in, the one with most in unfinished requests is refused:
        one that sends a large request beside an attack is rarely that.
        """
        before = self._held.get(connection, NOTHING_HELD)
        if held == before:
            return
        self.size += held.size - before.size
        self.unfinished += held.unfinished - before.unfinished
        if held == NOTHING_HELD:
            del self._held[connection]
        else:
            self._held[connection] = held
        self.room.fit(self.size)
        while self.size > _HARD * self.most and self._held:
            most = max(self._held, key=lambda one: self._held[one].size)
            self._give_up(most, self._cut_off, "held_memory", self.most)
        # Here, and not where growth is told: many connections may hold little each.
        while self.unfinished > self._most_unfinished and self._held:
            most = max(self._held, key=self._unfinished_of)
            self._give_up(most, self._refuse, "unfinished_bytes", self._most_unfinished)

    def forget(self, connection: Guarded) -> None:
        """Count a connection no more: it is closed, or lets go what it holds."""
        held = self._held.pop(connection, NOTHING_HELD)
        self.size -= held.size
        self.unfinished -= held.unfinished

    def _unfinished_of(self, connection: Guarded) -> int:
        return self._held[connection].unfinished

    def _give_up(
        self,
        connection: Guarded,
        end: Callable[[Guarded, Expiry], object],
        name: str,
        value: int,
    ) -> None:
        # Before it is told: it may be closed by that, or tell that it holds nothing any more.
        self.forget(connection)
        shown = f"beyond the {value} bytes for all peers ({name}); try again in {RETRY} s"
        end(connection, Expiry(name, value, shown))
