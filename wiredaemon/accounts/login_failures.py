"""The rules of failed logins: who may try, and who must wait.

Failures count for the address and for the name. Neither may keep a user out by the failures of
others: whoever has logged in from an address before is limited there by what fails under that name
at that address, and by nothing else.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from wiredaemon.accounts.failure_buckets import FailureBuckets
from wiredaemon.accounts.login import TooManyFailuresError
from wiredaemon.accounts.names import LONGEST_NAME
from wiredaemon.accounts.places import KnownPlaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.wire.limits import Limits


class LoginFailures:
    """Counts failed logins and says who must wait.

    Places are those of ``place_of``. Every table has at most ``login_records`` entries.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self.count = 0
        """Failed logins so far."""
        most = limits.login_records
        size, seconds = limits.login_failures, limits.login_failure_seconds
        self._places: FailureBuckets[str] = FailureBuckets(size, seconds, most, now)
        self._names: FailureBuckets[str] = FailureBuckets(size, seconds, most, now)
        self._pairs: FailureBuckets[tuple[str, str]] = FailureBuckets(size, seconds, most, now)
        self._known = KnownPlaces(limits.login_known_seconds, most, now)

    def __len__(self) -> int:
        """Return the number of places, names and pairs of both that failures are kept of."""
        return len(self._places) + len(self._names) + len(self._pairs)

    def is_known(self, name: str, place: str) -> bool:
        """Return whether a user has logged in from a place before."""
        return (name, place) in self._known

    def refusal(self, name: str, place: str) -> TooManyFailuresError | None:
        """Return the error of a login by password that must wait; None if it need not."""
        if (name, place) in self._known:
            wait = self._pairs.wait((name, place))
        else:
            wait = max(self._places.wait(place), self._names.wait(name[:LONGEST_NAME]))
        return self._error(wait) if wait else None

    def refusal_of_place(self, place: str) -> TooManyFailuresError | None:
        """Return the error of a login without a name that must wait; None if it need not."""
        wait = self._places.wait(place)
        return self._error(wait) if wait else None

    def add(self, name: str, places: set[str]) -> None:
        """Count one wrong password of a name, sent from one or more places."""
        self.count += 1
        # Cut, because a name that a stranger sends has any length, and keys are kept.
        self._names.take(name[:LONGEST_NAME])
        for place in places:
            self._places.take(place)
            if (name, place) in self._known:
                self._pairs.take((name, place))

    def add_at(self, place: str) -> None:
        """Count credentials without a name."""
        self.count += 1
        self._places.take(place)

    def succeed(self, name: str, place: str) -> None:
        """Remember a right password: its user is known at this place from now on."""
        self._known.add(name, place)

    def _error(self, wait: float) -> TooManyFailuresError:
        limits = self._limits
        return TooManyFailuresError(
            f"too many failed logins, more than {limits.login_failures} per "
            f"{limits.login_failure_seconds:g} seconds; try again in {ceil(wait)} seconds "
            "(login_failures)",
            wait,
        )
