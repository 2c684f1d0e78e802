"""Logins by password: what is known already, and the checks of what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wiredaemon.accounts.failure_log import name_of
from wiredaemon.accounts.login import Login, LoginBusyError, LoginError, LoginFaultError
from wiredaemon.accounts.password_check import PasswordCheck
from wiredaemon.accounts.places import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.accounts.check_queue import CheckQueue
    from wiredaemon.accounts.credentials import Password
    from wiredaemon.accounts.failure_log import FailureLog
    from wiredaemon.accounts.login_failures import LoginFailures
    from wiredaemon.accounts.verified_logins import VerifiedLogins

_log: Final = Logger()


class PasswordLogins:
    """Decides which passwords are checked, and shares each check among all who ask the same.

    Args:
        check: Has a password checked; it costs a thread some tenths of a second.
        queue: Says when.
        failures: Says who must wait after failures.
        verified: Keeps what was right.
        log: Is told of failures.
    """

    def __init__(
        self,
        check: Callable[[Password], Deferred[Login]],
        *,
        queue: CheckQueue,
        failures: LoginFailures,
        verified: VerifiedLogins,
        log: FailureLog,
    ) -> None:
        self._check = check
        self.queue = queue
        self._failures = failures
        self._verified = verified
        self._log = log
        self._checks: dict[bytes, PasswordCheck] = {}
        self.age = 0
        """Goes up whenever the files have changed."""

    def forget(self) -> None:
        """Forget what was right: the files have changed."""
        self._verified.clear()
        # Checks that run now compare with what the files said before: nobody joins them.
        self._checks.clear()
        self.age += 1

    def log_in(self, credentials: Password, address: str) -> Login | Deferred[Login]:
        """Return the login of a password, at once where it is known.

        Raises:
            TooManyFailuresError: There were too many failures; this one was not looked at, not even
                if it is known: who guesses must not learn by that which password is right.
            LoginBusyError: Too many others wait.
        """
        place = place_of(address)
        refusal = self._refusal(credentials.name, place)
        if refusal is not None:
            raise refusal
        digest = self._verified.digest(credentials)
        login = self._verified.find(credentials.name, digest)
        if login is not None:
            self._failures.succeed(credentials.name, place)
            return login
        check = self._checks.get(digest)
        if check is not None:
            return check.wait(place)
        return self._begin(credentials, place, digest)

    def _begin(self, credentials: Password, place: str, digest: bytes) -> Deferred[Login]:
        def start() -> Deferred[None] | None:
            return self._start(check, digest)

        def give_up(check: PasswordCheck) -> None:
            self.queue.discard(start)
            self._drop(check, digest)

        check = PasswordCheck(credentials, give_up)
        waiting = check.wait(place)
        # Remembered first: a check may end while it is being added.
        self._checks[digest] = check
        try:
            self.queue.add(start, is_known=self._failures.is_known(credentials.name, place))
        except LoginBusyError:
            self._drop(check, digest)
            self._log.refuse(place, name_of(credentials.name))
            raise
        return waiting

    def _start(self, check: PasswordCheck, digest: bytes) -> Deferred[None] | None:
        """Start a check whose turn has come, unless nobody is left to check for."""
        name = check.credentials.name
        # Others may have failed while these waited.
        if not check.begin(lambda place: self._refusal(name, place)):
            self._drop(check, digest)
            return None
        checked = self._check(check.credentials)
        return checked.addBoth(self._end, check, digest, self.age)

    def _refusal(self, name: str, place: str) -> LoginError | None:
        refusal = self._failures.refusal(name, place)
        if refusal is not None:
            self._log.refuse(place, name_of(name))
        return refusal

    def _drop(self, check: PasswordCheck, digest: bytes) -> None:
        """Forget a check, unless a newer one has its place."""
        if self._checks.get(digest) is check:
            del self._checks[digest]

    def _end(self, outcome: Login | Failure, check: PasswordCheck, digest: bytes, age: int) -> None:
        self._drop(check, digest)
        name = check.credentials.name
        if isinstance(outcome, Login):
            # The files have changed meanwhile: what was right by the old ones is given to those who
            # asked, and not kept.
            if age == self.age:
                self._verified.keep(digest, outcome)
            for place in check.places:
                self._failures.succeed(name, place)
        elif outcome.check(LoginFaultError):
            pass  # logged where it came from, and no failure of the peer's
        elif outcome.check(LoginError):
            self._failures.add(name, check.places)
            for place in sorted(check.places):
                self._log.fail(place, name_of(name))
        else:
            _log.failure("the password of {user} was not checked", outcome, user=name_of(name))
        check.end(outcome)
