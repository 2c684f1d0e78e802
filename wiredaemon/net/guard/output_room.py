"""The output that a connection may have before its commands wait for the peer.

One peer that reads slowly may hold ``output_high`` bytes. Hundreds of them would make the daemon
large, so each may hold one frame once all connections together hold much. That costs speed only
where peers read slower than we send: all others hold next to nothing.

Source: reliability, section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wiredaemon.wire.limits import Limits

PLENTY: Final = 1024 * 1024
"""Bytes held for all connections up to which each may have ``output_high``."""
SCARCE: Final = 16 * 1024
"""Bytes of output for each connection beyond that: one frame, which is up to twice as large."""
RELAXED: Final = 10
"""Looks after which there is room again: readers that were slow together may take some at once, and
would all be given much."""


class OutputRoom:
    """The bytes of output for each connection; `HeldMemory` tells what all of them hold."""

    __slots__ = ("_high", "_looks", "high", "is_scarce")

    def __init__(self, limits: Limits) -> None:
        self.use(limits)

    def use(self, limits: Limits) -> None:
        """Use another bound from now on."""
        self._high = self.high = limits.output_high
        self._looks = 0
        """Looks at which little was held, since it was much."""
        self.is_scarce = False
        """A connection makes no more output while any of it waits in this process."""

    def fit(self, held: int) -> None:
        """Make room scarce if so many bytes are held for all connections."""
        if held > PLENTY:
            self.is_scarce, self._looks = True, 0
            self.high = min(SCARCE, self._high)

    def look(self, held: int) -> None:
        """Give room again if little was held for some time; called once a second or so."""
        if self.is_scarce and held <= PLENTY:
            self._looks += 1
            if self._looks >= RELAXED:
                self.is_scarce, self.high = False, self._high
