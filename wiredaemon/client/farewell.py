"""Closing connections in bounded time: over TLS the server must say farewell too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

FAREWELL_SECONDS: Final = 5.0


def closed_in_time(
    closed: Deferred[None],
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    on_late: Callable[[], object],
) -> Deferred[None]:
    """Fire when connections are closed, or are taken for closed.

    Args:
        closed: Fires when they are.
        reactor: For the time.
        on_late: Called when it takes too long.
    """
    done: Deferred[None] = Deferred()

    def late() -> None:
        on_late()
        finish(None)

    def finish(_: object) -> None:
        if timer.active():
            timer.cancel()
        if not done.called:
            done.callback(None)

    timer = reactor.callLater(FAREWELL_SECONDS, late)
    closed.addBoth(finish)
    return done
