"""The orders that a caller gets: a line of standard input for each, answered by one of output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WINDOW: Final = 64
"""Calls in flight, where they are not made one at a time."""
DATA: Final = b"thirty-two bytes of an argument!"
"""The argument of each call, and its result."""

PIECE: Final = bytes(range(256)) * 128
"""A piece of large data: 32 KiB."""


class WrongAnswerError(Exception):
    """A server answered something else."""


def check(answer: object) -> None:
    """Check one answer.

    Raises:
        WrongAnswerError: It is another one.
    """
    if answer != DATA:
        raise WrongAnswerError(repr(answer))


def next_count() -> int:
    """Wait for the next order, and return its number of calls; 0 where no more will come."""
    return int(sys.stdin.readline() or 0)


def done(count: int) -> None:
    """Say that an order is carried out."""
    print(count, flush=True)


def portions(count: int, window: int) -> list[int]:
    """Return how many calls each of ``window`` callers makes, so that they make ``count``."""
    return [count // window + (number < count % window) for number in range(window)]


def obey(calls: Callable[[int], object]) -> None:
    """Carry out all orders.

    Args:
        calls: Makes so many calls.
    """
    while count := next_count():
        calls(count)
        done(count)


async def obey_in_loop(
    wait: Callable[[Callable[[], int]], Awaitable[int]], calls: Callable[[int], Awaitable[object]]
) -> None:
    """Carry out all orders in an event loop, which goes on while there is none.

    Args:
        wait: Runs a function in a thread.
        calls: Makes so many calls.
    """
    while count := await wait(next_count):
        await calls(count)
        done(count)
