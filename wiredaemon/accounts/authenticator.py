"""The one door for logins of all transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from wiredaemon.accounts.login import ILogin, Login

if TYPE_CHECKING:
    from twisted.cred.portal import Portal
    from twisted.internet.defer import Deferred

    from wiredaemon.accounts.accounts import Accounts
    from wiredaemon.accounts.credentials import Named, Password, Token


class Authenticator:
    """Finds out who a peer is.

    Args:
        portal: The portal, with a checker for each kind of credentials.
        accounts: What the checkers look at.
        accepts_passwords: There is a file of users and their passwords.
        accepts_tokens: There is a file of tokens.
    """

    def __init__(
        self, portal: Portal, accounts: Accounts, *, accepts_passwords: bool, accepts_tokens: bool
    ) -> None:
        self._portal = portal
        self._accounts = accounts
        self.accepts_passwords = accepts_passwords
        self.accepts_tokens = accepts_tokens

    @property
    def is_open(self) -> bool:
        """There is a way to log in: by password or by token."""
        return self.accepts_passwords or self.accepts_tokens

    def authenticate(
        self, credentials: Password | Token | Named, address: str
    ) -> Login | Deferred[Login]:
        """Return the login that credentials give, at once where it is known.

        Args:
            credentials: What the peer presented.
            address: The peer's host, without its port.

        Raises:
            LoginError: There is none. A Deferred fails with it.
        """
        self._accounts.refresh()
        return _now(self._portal.login(credentials, address, ILogin).addCallback(_login_of))


def _login_of(result: tuple[object, object, object]) -> Login:
    login = result[1]
    assert isinstance(login, Login)  # noqa: S101 what our realm gives
    return login


def _now(waiting: Deferred[Login]) -> Login | Deferred[Login]:
    """Return what a Deferred has, or the Deferred itself if it has nothing yet."""
    outcomes: list[Login | Failure] = []
    is_waiting = True

    def take(outcome: Login | Failure) -> Login | Failure | None:
        if is_waiting:
            outcomes.append(outcome)
            return None
        return outcome

    waiting.addBoth(take)
    is_waiting = False
    if not outcomes:
        return waiting
    if isinstance(outcomes[0], Failure):
        outcomes[0].raiseException()
    return outcomes[0]
