"""The timer for the silence of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.protocols.policies import TimeoutMixin

if TYPE_CHECKING:
    from collections.abc import Callable


class SilenceTimer(TimeoutMixin):
    """Twisted's resettable timer, which calls back when it was not reset for too long.

    Args:
        reactor: Measures the time.
        on_silence: Is called when the time is over.
    """

    def __init__(self, reactor: Any, on_silence: Callable[[], None]) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._on_silence = on_silence

    def callLater(self, period: float, func: Callable[[], None]) -> Any:  # noqa: ANN401 as of Twisted's
        """Schedule a call, as the mixin asks for it."""
        # The mixin's own uses the global reactor.
        return self._reactor.callLater(period, func)

    def timeoutConnection(self) -> None:
        """Call back."""
        self._on_silence()
