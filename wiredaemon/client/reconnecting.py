"""Connects again to a server that was reached before, in attempts with growing pauses."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import (
    ClientError,
    LoginRefusedError,
    NotOfferedError,
    UntrustedError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wiredaemon.client.runtime import Runtime

# The first attempt is made at once; a server that starts again is asked several times a second at
# first, and later at least every 5 seconds.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_FINAL: Final = (LoginRefusedError, NotOfferedError, UntrustedError)
"""Errors of a connection that a further attempt would only repeat."""


async def connect_again(
    runtime: Runtime,
    seconds: float,
    attempt: Callable[[], Awaitable[None]],
    is_wanted: Callable[[], bool],
) -> None:
    """Connect, with further attempts where one fails.

    Args:
        runtime: Tells the time.
        seconds: The time within which further attempts begin.
        attempt: Connects once.
        is_wanted: Whether somebody still waits for the connection.

    Raises:
        ClientError: The last attempt fails.
    """
    ends = runtime.now() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            await attempt()
        except ClientError as error:
            # Spread out, so that the clients of a server that was away do not come together.
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 nothing to guess
            if isinstance(error, _FINAL) or runtime.now() + wait > ends or not is_wanted():
                raise
            await _sleep(runtime, wait)
            if not is_wanted():
                raise
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return


async def _sleep(runtime: Runtime, seconds: float) -> None:
    waiter = runtime.waiter()
    timer = runtime.call_later(seconds, waiter.wake)
    try:
        await waiter
    finally:
        timer.cancel()
