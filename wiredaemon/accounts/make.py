"""An authenticator is joined from its parts here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from twisted.cred.portal import Portal

from wiredaemon.accounts.accounts import Accounts
from wiredaemon.accounts.authenticator import Authenticator
from wiredaemon.accounts.check_threads import CheckThreads
from wiredaemon.accounts.checkers import NamedChecker, PasswordChecker, TokenChecker
from wiredaemon.accounts.realm import LoginRealm

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.accounts.config import AuthConfig
    from wiredaemon.wire.limits import Limits


def make_authenticator(
    config: AuthConfig,
    limits: Limits,  # noqa: ARG001 the bounds come with what obeys them
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    now: Callable[[], float] = time.time,
) -> Authenticator:
    """Return the authenticator of a configuration; its files are read at once.

    Args:
        config: The files of accounts.
        limits: The bounds of failures and of waiting.
        reactor: Runs the threads of checks, and measures time.
        now: Returns the time that tokens expire by, in seconds since 1970.

    Raises:
        AccountsFileError: A file cannot be used.
    """
    accounts = Accounts(config)
    portal = Portal(LoginRealm(accounts))
    portal.registerChecker(PasswordChecker(accounts, CheckThreads(reactor).call))
    portal.registerChecker(TokenChecker(accounts, now))
    portal.registerChecker(NamedChecker())
    return Authenticator(
        portal,
        accounts,
        accepts_passwords=config.htpasswd is not None,
        accepts_tokens=config.tokens is not None,
    )
