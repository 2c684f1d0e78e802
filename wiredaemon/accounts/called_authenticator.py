"""Logins that functions of an embedding program decide, with the limits of all others."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

from wiredaemon.accounts.check_queue import CheckQueue
from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.failure_log import FailureLog, name_of
from wiredaemon.accounts.login import Login, LoginError, LoginFaultError
from wiredaemon.accounts.login_failures import LoginFailures
from wiredaemon.accounts.names import vouched_name_problem
from wiredaemon.accounts.password_logins import PasswordLogins
from wiredaemon.accounts.places import place_of
from wiredaemon.accounts.verified_logins import VerifiedLogins

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from wiredaemon.wire.limits import Limits

Answer: TypeAlias = str | Login | None
"""A user's name, a whole login, or None for wrong credentials."""
CheckPassword: TypeAlias = Callable[[str, bytes], Answer | Awaitable[Answer]]
"""Is called with name and password."""
CheckToken: TypeAlias = Callable[[bytes], Answer | Awaitable[Answer]]
"""Is called with the token."""

_NOBODY: Final = "nobody by a token"
"""The words of the log for tokens that are nobody's."""


class CalledAuthenticator:
    """Finds out who a peer is, by functions that are called in the reactor's thread.

    Passwords that were right are known for ``login_cache_seconds``, and two checks run at once, as
    with files of accounts. Wrong passwords and wrong tokens count for the same limits.

    Args:
        limits: ``login_failures`` and what else bounds logins.
        clock: The reactor's clock.
        check_password: Says whose a password is; None where nobody has one.
        check_token: Says whose a token is; None where there are none.
        log_fault: Logs an exception that is the program's fault, and whose login it was.
    """

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime,
        check_password: CheckPassword | None,
        check_token: CheckToken | None,
        *,
        log_fault: Callable[[Failure, str], object],
    ) -> None:
        self._log_fault = log_fault
        self._check_password = check_password
        self._check_token = check_token
        self._failures = LoginFailures(limits, clock.seconds)
        self._log = FailureLog(clock, limits.login_failure_seconds, limits.login_records)
        self._passwords = PasswordLogins(
            self._ask_password,
            queue=CheckQueue(limits.login_queue, clock.seconds),
            failures=self._failures,
            verified=VerifiedLogins(limits.login_cache_seconds, clock.seconds),
            log=self._log,
        )

    @property
    def accepts_tokens(self) -> bool:
        """There is a function for tokens."""
        return self._check_token is not None

    @property
    def is_open(self) -> bool:
        """There is a way to log in: by password or by token."""
        return self._check_password is not None or self.accepts_tokens

    def stop(self) -> None:
        """Write what was counted of failures since the last line, and wait for no more."""
        self._log.stop()

    def note_other_name(self, login: Login, name: str, address: str) -> None:
        """Log that a right token came under another user's name; it counts for no limit."""
        self._log.fail(place_of(address), f"{name_of(name)} by a token of {login.user!a}")

    def look(self) -> tuple[int, int]:
        """Return numbers that change when a login has failed."""
        return 0, self._failures.count

    def authenticate(
        self, credentials: Password | Token | Named, address: str
    ) -> Login | Deferred[Login]:
        """Return the login that credentials give, at once where it is known.

        A Deferred may be cancelled: its caller waits no longer.

        Args:
            credentials: What the peer presented.
            address: The peer's host, without its port.

        Raises:
            LoginError: There is none: wrong credentials, too many failures, or too many others who
                wait. A Deferred fails with it, and where a function fails with `LoginFaultError`.
        """
        match credentials:
            case Password() if self._check_password is not None:
                return self._passwords.log_in(credentials, address)
            case Token() if self._check_token is not None:
                return self._log_in_by_token(self._check_token, credentials, place_of(address))
            case Named(name=name):
                return _login_of(name)
        raise LoginError

    def _ask_password(self, credentials: Password) -> Deferred[Login]:
        check = self._check_password
        if check is None:
            raise LoginError
        who = name_of(credentials.name)
        return self._asked(who, check, credentials.name, credentials.password)

    def _log_in_by_token(self, check: CheckToken, token: Token, place: str) -> Deferred[Login]:
        # Looked at first: nobody knows here how hard a token is to guess, nor what a check costs.
        refusal = self._failures.refusal_of_place(place)
        if refusal is not None:
            self._log.refuse(place, _NOBODY)
            raise refusal

        def count(failure: Failure) -> Failure:
            if failure.check(LoginError) and not failure.check(LoginFaultError):
                self._failures.add_at(place)
                self._log.fail(place, _NOBODY)
            return failure

        return self._asked(_NOBODY, check, token.secret).addErrback(count)

    def _asked(self, who: str, check: Callable[..., Any], *credentials: object) -> Deferred[Login]:
        """Call a function, and return what becomes of its answer; its faults are logged once."""

        async def ask() -> Login:
            try:
                answer = check(*credentials)
                if inspect.isawaitable(answer):
                    answer = await answer
                return _login_of(answer)
            except LoginError:
                raise
            except Exception as error:  # whatever a program may raise
                if has_left and isinstance(error, CancelledError):
                    raise
                self._log_fault(Failure(), who)
                raise LoginFaultError from None

        def leave(_: Deferred[Login]) -> None:
            has_left.append(True)
            asking.cancel()

        has_left: list[bool] = []
        asked: Deferred[Login] = Deferred(leave)
        asking = ensureDeferred(ask())
        asking.addCallbacks(asked.callback, asked.errback)
        return asked


def _login_of(answer: object) -> Login:
    """Return the login that an answer stands for.

    Raises:
        LoginError: It stands for none.
        TypeError: It is no answer.
    """
    if answer is None:
        raise LoginError
    login = Login(user=answer) if isinstance(answer, str) else answer
    if not isinstance(login, Login):
        raise TypeError(f"a user's name, a Login or None is expected, not {answer!r}")
    if problem := _type_problem(login):
        raise TypeError(problem)
    if problem := vouched_name_problem(login.user):
        raise LoginError(f"this is no name of a user: {problem}")
    return login


def _type_problem(login: Login) -> str | None:
    """Return which field of a login has a wrong type: rules and answers would fail later on."""
    # As `object`: programs need not be checked by mypy.
    user: object = login.user
    groups: object = login.groups
    read_only: object = login.read_only
    if not isinstance(user, str):
        return f"the user of a Login is a str, not {user!r}"
    if not isinstance(groups, frozenset) or not all(isinstance(each, str) for each in groups):
        return f"the groups of a Login are a frozenset of str, not {groups!r}"
    if not isinstance(read_only, bool):
        return f"read_only of a Login is a bool, not {read_only!r}"
    return None
