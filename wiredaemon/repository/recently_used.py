"""A mapping that keeps so many values, those used last: for open repositories, hosts and answers.

It is here because the daemon and its workers both need one, and know nothing else in common.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_K = TypeVar("_K")
_V = TypeVar("_V")


class RecentlyUsed(Generic[_K, _V]):
    """Values by key, in the order in which they were used.

    Args:
        most: Values that are kept; one more drops the one used longest ago.
        on_dropped: Called with each value that is dropped for that, and its key: to close it, say.
            A value that is removed or replaced is the caller's own business.
    """

    def __init__(self, most: int, on_dropped: Callable[[_K, _V], object] | None = None) -> None:
        self._most = most
        self._on_dropped = on_dropped
        # Not a dict, whose front fills with removed entries: dropping the oldest of 10,000 takes
        # 1.3 us there, and 0.12 here.
        self._values: OrderedDict[_K, _V] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)

    def __contains__(self, key: _K) -> bool:
        """Return whether there is a value for a key; that is no use of it."""
        return key in self._values

    def __iter__(self) -> Iterator[_V]:
        """Return the values, the one used last at the end; that is no use of them."""
        return iter(self._values.values())

    def use(self, key: _K) -> _V | None:
        """Return the value of a key, which is then the one used last; None if there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def peek(self, key: _K) -> _V | None:
        """Return the value of a key without using it."""
        return self._values.get(key)

    def keep(self, key: _K, value: _V) -> None:
        """Keep a value as the one used last."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self.drop()

    def remove(self, key: _K) -> _V | None:
        """Remove the value of a key and return it; None if there is none."""
        return self._values.pop(key, None)

    def drop(self) -> None:
        """Drop the value used longest ago.

        Raises:
            KeyError: There is none.
        """
        key, value = self._values.popitem(last=False)
        if self._on_dropped is not None:
            self._on_dropped(key, value)

    def clear(self) -> None:
        """Remove all values."""
        self._values.clear()
