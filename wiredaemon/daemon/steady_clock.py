"""Gives the reactor a clock that nobody can set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final[Callable[[], float]] = time.monotonic


def use_steady_clock(reactor: Any) -> None:  # noqa: ANN401 attributes that no interface names
    """Let a reactor measure time by a clock that only ever goes on, at the same speed.

    Twisted's takes the time of day: whoever sets that back by an hour stops every deadline for an
    hour, and set forward it ends all connections at once. Calls that wait already keep the time
    that is left to them.

    Args:
        reactor: The reactor, running or not; a second time changes nothing.
    """
    before = reactor.seconds
    if before is _SECONDS:
        return
    now = before()
    reactor.seconds = _SECONDS
    for call in reactor.getDelayedCalls():
        left = call.getTime() - now
        # Each call has a clock of its own, which `reset` asks.
        call.seconds = _SECONDS
        call.reset(max(0.0, left))
