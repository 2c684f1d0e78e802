"""An authenticator is joined from its parts here."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.cred.portal import Portal

from wiredaemon.accounts.accounts import Accounts
from wiredaemon.accounts.authenticator import Authenticator, log_in
from wiredaemon.accounts.check_queue import CheckQueue
from wiredaemon.accounts.check_threads import CheckThreads
from wiredaemon.accounts.checkers import NamedChecker, PasswordChecker, TokenChecker
from wiredaemon.accounts.failure_log import FailureLog
from wiredaemon.accounts.login_failures import LoginFailures
from wiredaemon.accounts.password_logins import PasswordLogins
from wiredaemon.accounts.realm import LoginRealm
from wiredaemon.accounts.verified_logins import VerifiedLogins

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from wiredaemon.accounts.checkers import CallInThread
    from wiredaemon.accounts.config import AuthConfig
    from wiredaemon.wire.limits import Limits


def make_authenticator(
    config: AuthConfig,
    limits: Limits,
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
    threads = CheckThreads(reactor)
    authenticator = join(Accounts(config), limits, reactor, threads.call, now)
    reactor.addSystemEventTrigger("before", "shutdown", authenticator.write_counts)
    return authenticator


def join(
    accounts: Accounts,
    limits: Limits,
    clock: IReactorTime,
    call_in_thread: CallInThread,
    now: Callable[[], float] = time.time,
) -> Authenticator:
    """Return an authenticator of given accounts, clock and threads."""
    portal = Portal(LoginRealm(accounts))
    portal.registerChecker(PasswordChecker(accounts, call_in_thread))
    portal.registerChecker(TokenChecker(accounts, now))
    portal.registerChecker(NamedChecker())
    failures = LoginFailures(limits, clock.seconds)
    log = FailureLog(clock, limits.login_failure_seconds, limits.login_records)
    passwords = PasswordLogins(
        partial(log_in, portal),
        queue=CheckQueue(limits.login_queue, clock.seconds),
        failures=failures,
        verified=VerifiedLogins(limits.login_cache_seconds, clock.seconds),
        log=log,
    )
    return Authenticator(portal, accounts, passwords=passwords, failures=failures, log=log)
