"""Latencies of many calls, in a space that does not grow: counts by size, to one percent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST: Final = 1e-6
"""Seconds: all that is shorter counts as this."""
_STEP: Final = math.log(1.01)
"""The logarithm of how much each size is larger than the one before."""
# 100,000 s at most: more than a day.
_SIZES: Final = math.ceil(math.log(1e5 / _LEAST) / _STEP)
_EDGES: Final = tuple(digit * 10.0**power for power in range(-6, 5) for digit in (1, 2, 5))
"""The upper ends of the rows of a histogram, in seconds."""


class Latencies:
    """How long calls took."""

    def __init__(self) -> None:
        """Begin without a call."""
        self._counts = [0] * (_SIZES + 1)
        self.count = 0
        self.total = 0.0
        """The seconds of all calls together."""
        self.least = math.inf
        self.most = 0.0

    def add(self, seconds: float) -> None:
        """Count a call."""
        size = int(math.log(seconds / _LEAST) / _STEP) + 1 if seconds > _LEAST else 0
        self._counts[min(size, _SIZES)] += 1
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)

    def percentile(self, percent: float) -> float:
        """Return the seconds that so many percent of the calls took at most, to one percent."""
        rank = max(math.ceil(self.count * percent / 100), 1)
        for size, count in enumerate(self._counts):
            rank -= count
            if rank <= 0:
                # No size is exact, but the ends are known.
                return max(min(_upper(size), self.most), self.least)
        return self.most

    def rows(self) -> Iterator[tuple[float, int]]:
        """Return the rows of a histogram: an upper end in seconds, and how many calls it counts.

        They go 1, 2, 5, 10, ..., from the first that has a call to the last.
        """
        counts = dict.fromkeys(_EDGES, 0)
        for size, count in enumerate(self._counts):
            if count:
                end = max(min(_upper(size), self.most), self.least)
                counts[next((edge for edge in _EDGES if end <= edge), _EDGES[-1])] += count
        filled = [edge for edge, count in counts.items() if count]
        for edge, count in counts.items():
            if filled and filled[0] <= edge <= filled[-1]:
                yield edge, count


def _upper(size: int) -> float:
    """Return the seconds that a size ends with."""
    return _LEAST * math.exp(size * _STEP)
