"""Whether the daemon serves, and for how long it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Health:
    """The life of the daemon, from the moment at which this is made.

    Args:
        now: Tells the time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = now()
        self.is_stopping = False
        """The daemon ends: it begins nothing new."""

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return self._now() - self._began
