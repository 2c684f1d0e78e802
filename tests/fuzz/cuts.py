"""One input as the parts that a target needs: choices, then the bytes that a peer sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    _Choice = TypeVar("_Choice")


class Input:
    """Reads an input from its beginning; what is missing counts as zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self) -> int:
        """Return the next byte."""
        number = self._data[0] if self._data else 0
        self._data = self._data[1:]
        return number

    def choose(self, choices: Sequence[_Choice]) -> _Choice:
        """Return one of several, as the next byte says."""
        return choices[self.number() % len(choices)]

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        data, self._data = self._data, b""
        return data


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut bytes into pieces of ``size``, one at the least; empty pieces stand between some."""
    for start in range(0, len(data), max(1, size)):
        yield data[start : start + max(1, size)]
        if start % 3 == 0:
            yield b""
