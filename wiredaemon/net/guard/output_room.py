"""How much output a connection may have before its commands wait for the peer.

One peer that reads slowly may hold ``output_high`` bytes. Hundreds of them would make the daemon
large, so each may hold less once all connections together hold much.

Source: reliability, section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wiredaemon.wire.limits import Limits

PLENTY: Final = 4 * 1024 * 1024
"""Bytes held for all connections up to which each may have ``output_high``."""
SCARCE: Final = 32 * 1024
"""Bytes of output for each connection beyond that: one frame of the usual size."""


class OutputRoom:
    """The bytes of output for each connection; `HeldMemory` tells what all of them hold."""

    __slots__ = ("_high", "high")

    def __init__(self, limits: Limits) -> None:
        self.use(limits)

    def use(self, limits: Limits) -> None:
        """Use another bound from now on."""
        self._high = self.high = limits.output_high

    def fit(self, held: int) -> None:
        """Fit the room to the bytes that are held for all connections."""
        self.high = self._high if held <= PLENTY else min(SCARCE, self._high)
