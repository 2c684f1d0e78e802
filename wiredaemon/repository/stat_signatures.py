"""Signatures of files, from their metadata alone: enough to see that a file has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

StatSignature: TypeAlias = tuple[int, int, int, int] | None
"""Times of modification and of change in nanoseconds, size in bytes and inode; None for a file that
is missing.

The time of change is in it because nobody can set it back, as ``cp -p`` does with the other.
"""

StatSignatures: TypeAlias = tuple[StatSignature, ...]
"""One signature for each path, in the order of the paths."""

SAME_MOMENT: Final = 0.001
"""Seconds for which a signature counts as taken now. A request that came whole gets from its
admission to its command within 0.3 ms."""
RARE_SECONDS: Final = 0.1
"""Seconds between two looks at files that are rarely made, for a look takes 1 us a file."""


def stat_files(paths: Iterable[bytes]) -> StatSignatures:
    """Return the files' signatures; equal ones mean that no file has changed in between."""
    signatures: list[StatSignature] = []
    # One loop: it runs for each request, and a function for each file would cost as much as stat.
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 a Path costs more than twice as much
        except OSError:
            signatures.append(None)
        else:
            signatures.append(
                # The inode as well: Mercurial replaces files by renaming, which may leave size and,
                # within a tick, both times as they were.
                (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            )
    return tuple(signatures)


class WatchedFiles:
    """The files of one repository by which a process sees that what it knows has gone stale.

    There are two sets of them, and the first is part of the second: files that decide about
    settings, and files that decide about answers. A request for a kept answer needs both, within a
    moment: then each file is asked for once.

    Args:
        settings: Paths of the files that decide about settings.
        state: Paths of the files that decide about answers; none if that is not known.
        clock: Returns seconds, from any start.
        rare: Paths of further files that decide about settings, and are rarely made.
    """

    def __init__(
        self,
        settings: Sequence[bytes],
        state: Sequence[bytes],
        clock: Callable[[], float],
        rare: Sequence[bytes] = (),
    ) -> None:
        self.settings = [*settings, *rare]
        self._each_time, self._rare = settings, rare
        self.knows_state = bool(state)
        """Answers can be kept: it is known which files decide about them."""
        both = frozenset(self.settings)
        self._others = [path for path in state if path not in both]
        self._all = [*self.settings, *self._others]
        self._clock = clock
        self._last: StatSignatures = ()
        self._last_at = float("-inf")
        self._rare_last: StatSignatures = ()
        self._rare_at = float("-inf")

    def stat_settings(self) -> StatSignatures:
        """Return the signatures of the files that decide about settings."""
        self._last_at = now = self._clock()
        if now - self._rare_at >= RARE_SECONDS:
            self._rare_last, self._rare_at = stat_files(self._rare), now
        self._last = stat_files(self._each_time) + self._rare_last
        return self._last

    def stat_state(self) -> StatSignatures:
        """Return the signatures of all files that decide about answers, for a request.

        Those that the request's settings were checked with count if that was in the same moment:
        they were taken after the request had come.
        """
        if self._clock() - self._last_at > SAME_MOMENT:
            self.stat_settings()
        # Saves the stat calls of settings, some 2 us each, where the request's head has just made
        # them.
        return self._last + stat_files(self._others)

    def stat_state_anew(self) -> StatSignatures:
        """Stat every file again, and return the signatures to compare with earlier ones."""
        return stat_files(self._all)
