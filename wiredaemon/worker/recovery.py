"""``recover``: roll back a transaction that a killed process left behind.

While a transaction runs, the store has a ``journal``. A process that dies leaves it behind, and
every later write fails until the transaction is rolled back. Mercurial does that, and knows which
locks are stale: those of dead processes of this host and PID namespace, no others. Here it
is done without being asked, and never waits.

Source: reliability, section 5.
"""

from __future__ import annotations

import os
import posixpath
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wiredaemon.repository.worker_calls import CLEAN, RECOVERED, RUNNING
from wiredaemon.worker.library import error
from wiredaemon.worker.lock_holders import describe_holder
from wiredaemon.worker.opening import RepositoryUnavailable, open_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.worker.library_types import Lock, Repository


def recover(path: bytes) -> bytes:
    """Roll back the abandoned transaction of a repository, if there is one.

    Never waits. A lock that another process holds means that the transaction runs. That process
    may be on another host or in another PID namespace, where we cannot see whether it lives: a line
    on standard error names it to the operator. Another line tells of a transaction rolled back.

    Args:
        path: The repository's working folder.

    Returns:
        ``CLEAN``, ``RUNNING`` or ``RECOVERED``, of ``worker_calls``.

    Raises:
        RepositoryUnavailable: It cannot be opened or locked, or rolling back failed; the reason
            says which. What was rolled back stays so, and another attempt goes on from there.
    """
    repository = open_repository(path)
    try:
        if not _has_journal(repository):
            return CLEAN
        owner = _owner(repository)
        try:
            return _recover(owner)
        finally:
            owner.close()
    finally:
        repository.close()


def _recover(repository: Repository) -> bytes:
    name = _name(repository)
    try:
        with _locked(repository):
            # Another process may have ended it, or recovered, in the meantime.
            if not _has_journal(repository):
                return CLEAN
            _roll_back(repository, name)
    except error.LockHeld as held:
        _log(f"{name}: a transaction is open, and {describe_holder(held)}")
        # Not an error: a transaction that runs ends, and what it blocks waits for the lock as for
        # any other.
        return RUNNING
    except (error.Error, error.RepoError, OSError) as failure:
        raise RepositoryUnavailable(
            f"{name}: the abandoned transaction cannot be rolled back: {_text(failure)}"
        ) from failure
    return RECOVERED


def _roll_back(repository: Repository, name: str) -> None:
    # Collected for one line of the log, and so that it does not get lost among those of hooks.
    repository.ui.pushbuffer(error=True, subproc=True)
    try:
        repository.recover()
    finally:
        output = repository.ui.popbuffer().decode("utf-8", "replace")
    _log(f"{name}: an abandoned transaction was rolled back: {'; '.join(output.splitlines())}")


@contextmanager
def _locked(repository: Repository) -> Iterator[None]:
    """Hold both locks: rolling back restores files inside and outside the store.

    Raises:
        LockHeld: Another process holds one of them.
    """
    # In the order of Mercurial's own writers, or two of them would wait for each other.
    working = repository.wlock(wait=False)
    store: Lock | None = None
    try:
        store = repository.lock(wait=False)
        yield
    finally:
        if store is not None:
            store.release()
        working.release()


def _has_journal(repository: Repository) -> bool:
    return repository.svfs.exists(b"journal")


def _owner(repository: Repository) -> Repository:
    """Return the repository whose transaction it was, where several share one store.

    The journal names files outside the store without saying whose. Their backups, and this file,
    are in the folder of the repository that wrote.
    """
    source = posixpath.dirname(repository.sharedpath)
    if repository.path == repository.sharedpath or repository.vfs.exists(b"journal.desc"):
        return repository
    return open_repository(source)


def _name(repository: Repository) -> str:
    return os.fsdecode(posixpath.dirname(repository.path))


def _text(failure: Exception) -> str:
    if isinstance(failure, OSError):
        return f"{failure.strerror}: {failure.filename!r}"
    message = failure.args[0] if failure.args else type(failure).__name__
    return os.fsdecode(message) if isinstance(message, bytes) else str(message)


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
