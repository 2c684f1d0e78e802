"""Paths under which repositories were served before, and where they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon.net.hosting.collection import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.net.hosting.collection import Names

STILL_THERE: Final = (
    "moved.{old}: there is a repository at {path}, which is served in place of what has moved"
)
"""The warning about an old path that somebody else has taken."""


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

    def find(self, names: Names, is_here: Callable[[Names, int], bool]) -> MovedPath | None:
        """Return where a path is now; None if it has not moved.

        The longest old path counts, and one that has moved more than once is followed.

        Args:
            names: The path.
            is_here: Whether a path belongs to a repository that is named by so many of its
                components or more. What is there has not moved.
        """
        found: MovedPath | None = None
        for _ in self._moved:
            now = names if found is None else found.names
            step = self._step(now)
            if step is None or is_here(now, step.old):
                break
            found = step if found is None else _joined(found, step)
        return found

    def __iter__(self) -> Iterator[Names]:
        """Iterate over the old paths."""
        return iter(self._moved)

    def leads_in_a_circle(self, old: str) -> bool:
        """Return whether a path comes back to one that it has left."""
        names = names_of(old)
        for _ in self._moved:
            step = self._step(names)
            if step is None:
                return False
            names = step.names
        return self._step(names) is not None

    def _step(self, names: Names) -> MovedPath | None:
        for length in range(min(len(names), self._longest), 0, -1):
            new = self._moved.get(names[:length])
            if new is not None:
                return MovedPath(length, len(new), new + names[length:])
        return None


def _joined(first: MovedPath, second: MovedPath) -> MovedPath:
    """Return two moves as one."""
    beyond = second.old - first.new
    if beyond > 0:  # what has moved then is below what had moved first
        return MovedPath(first.old + beyond, second.new, second.names)
    return MovedPath(first.old, second.new - beyond, second.names)
