"""The one door for logins of all transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.python.failure import Failure

from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.failure_log import name_of
from wiredaemon.accounts.login import ILogin, Login, LoginError
from wiredaemon.accounts.places import place_of
from wiredaemon.accounts.tokens import find_token

if TYPE_CHECKING:
    from twisted.cred.portal import Portal
    from twisted.internet.defer import Deferred

    from wiredaemon.accounts.accounts import Accounts
    from wiredaemon.accounts.config import AuthConfig
    from wiredaemon.accounts.failure_log import FailureLog
    from wiredaemon.accounts.login_failures import LoginFailures
    from wiredaemon.accounts.password_logins import PasswordLogins

_NOBODY: Final = "nobody by a token"
"""The words of the log for tokens that are nobody's."""


class Authenticator:
    """Finds out who a peer is.

    Args:
        portal: The portal, with a checker for each kind of credentials.
        accounts: What the checkers look at.
        passwords: Logins by password, which go through the portal too.
        failures: Says who must wait after failures.
        log: Is told of failures.
    """

    def __init__(
        self,
        portal: Portal,
        accounts: Accounts,
        *,
        passwords: PasswordLogins,
        failures: LoginFailures,
        log: FailureLog,
    ) -> None:
        self._portal = portal
        self._accounts = accounts
        self._passwords = passwords
        self.failures = failures
        self._log = log

    @property
    def accepts_passwords(self) -> bool:
        """There is a file of users and their passwords."""
        return self._accounts.has_passwords

    @property
    def accepts_tokens(self) -> bool:
        """There is a file of tokens."""
        return self._accounts.has_tokens

    @property
    def is_open(self) -> bool:
        """There is a way to log in: by password or by token."""
        return self.accepts_passwords or self.accepts_tokens

    @property
    def waiting(self) -> int:
        """Passwords that wait to be checked."""
        return len(self._passwords.queue)

    def reload(self, config: AuthConfig) -> None:
        """Use the files of another configuration; what is known of failures stays.

        Raises:
            AccountsFileError: A file cannot be used; then nothing is changed.
        """
        self._accounts.reload(config)
        self._passwords.forget()

    def write_counts(self) -> None:
        """Write what was counted of failures since the last line, at the daemon's end."""
        self._log.write()

    def note_other_name(self, login: Login, name: str, address: str) -> None:
        """Log that a right token came under another user's name: it may have been stolen.

        It is no guess, and counts for no limit.
        """
        who = f"{name_of(name)} by a token of {login.user!a}"
        self._log.fail(place_of(address), who)

    def look(self) -> tuple[int, int]:
        """Return numbers that change when a file has changed, or a login has failed."""
        # Looked at for each login: a user who was removed must not get in by what is remembered.
        if self._accounts.refresh():
            self._passwords.forget()
        return self._passwords.age, self.failures.count

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
                wait. A Deferred fails with it.
        """
        self.look()
        match credentials:
            case Password():
                return self._log_in_by_password(credentials, address)
            case Token():
                return self._log_in_by_token(credentials, place_of(address))
            case Named():
                return _at_once(log_in(self._portal, credentials))

    def _log_in_by_password(self, credentials: Password, address: str) -> Login | Deferred[Login]:
        if not self.accepts_passwords:
            raise LoginError
        return self._passwords.log_in(credentials, address)

    def _log_in_by_token(self, credentials: Token, place: str) -> Login:
        """Return the login of a token. A right one never waits: nobody guesses 256 random bits."""
        try:
            return _at_once(log_in(self._portal, credentials))
        except LoginError:
            expired = find_token(self._accounts.tokens, credentials.secret)
            refusal = None if expired else self.failures.refusal_of_place(place)
            if refusal is not None:
                self._log.refuse(place, _NOBODY)
                raise refusal from None
            if expired:
                # No guess: whoever has it had the right one.
                self._log.fail(place, f"{expired.user!a} by the expired token {expired.id}")
            else:
                self.failures.add_at(place)
                self._log.fail(place, _NOBODY)
            raise


def log_in(portal: Portal, credentials: Password | Token | Named) -> Deferred[Login]:
    """Return the login that a portal gives for credentials."""
    return portal.login(credentials, None, ILogin).addCallback(_login_of)


def _login_of(result: tuple[object, object, object]) -> Login:
    login = result[1]
    assert isinstance(login, Login)  # noqa: S101 what our realm gives
    return login


def _at_once(login: Deferred[Login]) -> Login:
    """Return what a Deferred has; raise what it failed with. It waits for nothing."""
    outcomes: list[Login | Failure] = []
    login.addBoth(outcomes.append)
    # Checkers of tokens and of names answer with what they have in memory.
    outcome = outcomes[0]
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome
