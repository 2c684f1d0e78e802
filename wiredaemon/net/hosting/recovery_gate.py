"""Transactions that a killed process has left behind: noticed here, rolled back by a worker.

Source: reliability, section 5.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import Permission
from wiredaemon.repository.worker_calls import RECOVER, RECOVERED, RUNNING, CallContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.workers.pool import WorkerPool

LOOKED_AGAIN: Final = 1.0
"""Seconds for which a transaction that somebody is at is not looked at again by reads."""

_log: Final = Logger()


class RecoveryGate:
    """Of one repository.

    Args:
        path: Its working folder.
        pool: Its workers look, and roll back under the repository's lock.
    """

    def __init__(self, path: bytes, pool: WorkerPool) -> None:
        self._path = path
        self._pool = pool
        self._reactor = pool.reactor
        self.signs: Sequence[bytes] = [_journal_of(path)]
        """Files that exist while there is a transaction, running or abandoned."""
        self._waiting: list[Deferred[None]] | None = None
        self._next_look = 0.0

    def first(self, permission: Permission) -> Deferred[None] | None:
        """Give what a command has to wait for; None, nearly always, if there is no transaction.

        A write always looks, for an abandoned transaction would make it fail.
        """
        if not any(map(os.path.exists, self.signs)):
            return None
        is_write = permission is Permission.RW
        if not is_write and self._reactor.seconds() < self._next_look:
            return None
        waiting: Deferred[None] = Deferred()
        if self._waiting is not None:
            self._waiting.append(waiting)
            return waiting
        self._waiting = [waiting]
        context = CallContext(repository=self._path, permission=Permission.RW)
        looked = self._pool.call(context, RECOVER, {})
        looked.addCallbacks(self._on_looked, self._on_failed)
        looked.addBoth(self._go_on)
        return waiting

    def _on_looked(self, found: object) -> None:
        if found == RUNNING:
            self._next_look = self._reactor.seconds() + LOOKED_AGAIN
        elif found == RECOVERED:
            self._pool.recoveries += 1
            _log.warn(
                "an abandoned transaction of repository {path} was rolled back "
                "({count} since the start)",
                path=os.fsdecode(self._path),
                count=self._pool.recoveries,
            )

    def _on_failed(self, failure: Failure) -> None:
        """Let the command try: it is told on its own why it cannot go on."""
        self._next_look = self._reactor.seconds() + LOOKED_AGAIN
        _log.error(
            "an abandoned transaction of repository {path} cannot be rolled back: {reason}",
            path=os.fsdecode(self._path),
            reason=failure.getErrorMessage(),
        )

    def _go_on(self, _: object) -> None:
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            each.callback(None)


def transactions_of(repositories: Iterable[bytes]) -> list[bytes]:
    """Give those repositories that have a transaction, running or abandoned; reads folders."""
    return [path for path in repositories if Path(os.fsdecode(_journal_of(path))).exists()]


async def recover_all(repositories: Iterable[bytes], pool: WorkerPool) -> None:
    """Roll back what was abandoned in any of them, one after the other."""
    for path in repositories:
        looked = RecoveryGate(path, pool).first(Permission.RW)
        if looked is not None:
            await looked


def _journal_of(repository: bytes) -> bytes:
    return b"%s/.hg/store/journal" % repository
