"""Paths under which repositories were served before, and where they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wiredaemon.net.hosting.collection import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.net.hosting.collection import Names


class MovedPath(NamedTuple):
    """A path below one that has moved."""

    old: int
    """Components of the path that have moved."""
    new: int
    """Components that have taken their place."""
    names: Names
    """The path as it is now."""


class MovedPaths:
    """The paths that have moved.

    Args:
        moved: By the old path, the new one: ``/name/name`` both.
    """

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = {names_of(old): names_of(new) for old, new in moved.items()}
        self._longest = max(map(len, self._moved), default=0)

    def find(self, names: Names) -> MovedPath | None:
        """Return where a path is now; None if it has not moved. The longest old path counts."""
        for length in range(min(len(names), self._longest), 0, -1):
            new = self._moved.get(names[:length])
            if new is not None:
                return MovedPath(length, len(new), new + names[length:])
        return None
