"""Token buckets of failed logins: so many at once, and new ones as time passes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_K = TypeVar("_K", bound="Hashable")


@dataclass(slots=True)
class _Bucket:
    level: float
    """The failures that are left. Below 0 where checks side by side failed."""
    at: float
    """The time at which the level was right."""


class FailureBuckets(Generic[_K]):
    """A bucket of failures for each key, a full one to begin with.

    Only buckets that are not full are kept, so that memory is bounded twice: by time and by number.

    Args:
        size: Failures that a full bucket has; 0 means no limit.
        seconds: The time in which an empty bucket becomes full.
        most: Buckets that are kept; beyond it the one not used for the longest time is full again.
        now: Returns the time in seconds.
    """

    def __init__(self, size: int, seconds: float, most: int, now: Callable[[], float]) -> None:
        self._size = size
        self._rate: Final = size / seconds if seconds else 0.0
        self._seconds = seconds
        self._most = most
        self._now = now
        self._buckets: OrderedDict[_K, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of buckets that are kept."""
        return len(self._buckets)

    def wait(self, key: _K) -> float:
        """Return the seconds until one more failure is allowed; 0.0 if it is now."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return 0.0
        self._refill(bucket)
        return max(0.0, (1 - bucket.level) / self._rate)

    def take(self, key: _K) -> None:
        """Count a failure, whether it was allowed or not."""
        if not self._rate:
            return
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket(self._size, self._now())
        else:
            self._refill(bucket)
        # A floor, so that a flood of failures makes nobody wait longer than twice `seconds`.
        bucket.level = max(bucket.level - 1, -self._size)
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        self._drop()

    def _refill(self, bucket: _Bucket) -> None:
        now = self._now()
        # A clock that was set back must not make anybody wait until it has come as far again.
        passed = max(0.0, now - bucket.at)
        bucket.level = min(float(self._size), bucket.level + passed * self._rate)
        bucket.at = now

    def _drop(self) -> None:
        """Drop buckets from the front, where the last failure is longest ago."""
        while self._buckets:
            bucket = next(iter(self._buckets.values()))
            self._refill(bucket)
            if bucket.level < self._size and len(self._buckets) <= self._most:
                return
            self._buckets.popitem(last=False)
