"""One check of a password, and all who wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from wiredaemon.accounts.credentials import Password
    from wiredaemon.accounts.login import Login, LoginError


class PasswordCheck:
    """Callers at any number of places who present the same name and password.

    Args:
        credentials: What they present.
        on_given_up: Called when the last of them has cancelled before the check began.
    """

    def __init__(
        self, credentials: Password, on_given_up: Callable[[PasswordCheck], object]
    ) -> None:
        self.credentials = credentials
        self.places: set[str] = set()
        """The places that a failure counts for: also those of callers who left during the check."""
        self._on_given_up = on_given_up
        self._waiting: dict[Deferred[Login], str] = {}
        self._is_running = False

    def wait(self, place: str) -> Deferred[Login]:
        """Return a Deferred of one's own; a caller who cancels it waits no longer."""
        waiting: Deferred[Login] = Deferred(self._leave)
        self._waiting[waiting] = place
        if self._is_running:
            self.places.add(place)
        return waiting

    def begin(self, refusal: Callable[[str], LoginError | None]) -> bool:
        """Refuse callers whose places must wait; return whether anybody is left to check for.

        Args:
            refusal: Returns the error for a caller at a place, or None.
        """
        for waiting, place in list(self._waiting.items()):
            error = refusal(place)
            if error is None:
                self.places.add(place)
            else:
                del self._waiting[waiting]
                waiting.errback(error)
        self._is_running = bool(self._waiting)
        return self._is_running

    def end(self, outcome: Login | Failure) -> None:
        """Give the outcome to all who still wait."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            each.callback(outcome)

    def _leave(self, waiting: Deferred[Login]) -> None:
        self._waiting.pop(waiting, None)
        if not self._waiting and not self._is_running:
            self._on_given_up(self)
