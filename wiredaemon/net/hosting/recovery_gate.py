"""Abandoned transactions of one repository: noticed here, rolled back by a worker.

Source: reliability, section 5.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wiredaemon.commands import Permission
from wiredaemon.net.hosting.lock_holder import is_abandoned
from wiredaemon.net.hosting.shared_answer import SharedAnswer
from wiredaemon.repository.worker_calls import RECOVER, RECOVERED, RUNNING, CallContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.net.workers.pool import WorkerPool

RECHECK_SECONDS: Final = 1.0
"""Time for which reads do not have a transaction examined again, as long as its process runs. A
large push runs for minutes, and each examination takes a worker and the repository's lock."""

_log: Final = Logger()


class RecoveryGate:
    """Holds commands back until a transaction that a killed process has left is rolled back.

    Args:
        path: The repository's working folder.
        pool: Its workers examine a transaction, and roll it back under the repository's lock.
    """

    def __init__(self, path: bytes, pool: WorkerPool) -> None:
        self._path = path
        self._pool = pool
        self._reactor = pool.reactor
        self.journals: Sequence[bytes] = [_journal_of(path)]
        """Files one of which exists while there is a transaction, running or abandoned."""
        self._examined = SharedAnswer(self._examine, pool.reactor)
        self._next_examination = 0.0
        self._was_running = False
        """At the last examination a transaction ran."""

    def wait(self, permission: Permission) -> Deferred[None] | None:
        """Return a Deferred that a command must wait for; None if it may run at once.

        Nearly always there is no transaction, and the cost is one stat call. A write has a
        transaction examined each time, for an abandoned one would make it fail.

        Args:
            permission: The permission that the command needs.
        """
        for journal in self.journals:
            if os.path.exists(journal):  # noqa: PTH110 done for each command: a Path costs more than stat
                break
        else:
            return None
        if permission is not Permission.RW and self._reactor.seconds() < self._next_examination:
            # What a killed push has written may be seen, and will be rolled back: its client, which
            # tries again at once, must not learn that there is nothing to push.
            store = os.path.dirname(journal)  # noqa: PTH120 bytes
            if not (self._was_running and is_abandoned(store)):
                return None
        return self._examined.wait()

    def _examine(self) -> Deferred[None]:
        context = CallContext(repository=self._path, permission=Permission.RW)
        examined = self._pool.call(context, RECOVER, {})
        return examined.addCallbacks(self._on_examined, self._on_failed)

    def _on_examined(self, found: object) -> None:
        self._was_running = found == RUNNING
        if self._was_running:
            self._next_examination = self._reactor.seconds() + RECHECK_SECONDS
        elif found == RECOVERED:
            self._pool.recoveries += 1
            _log.warn(
                "an abandoned transaction of repository {path} was rolled back "
                "({count} since the start)",
                path=os.fsdecode(self._path),
                count=self._pool.recoveries,
            )

    def _on_failed(self, failure: Failure) -> None:
        self._was_running = False
        # The command may try: it fails with a reason of its own, if it needs what is broken.
        self._next_examination = self._reactor.seconds() + RECHECK_SECONDS
        _log.error(
            "an abandoned transaction of repository {path} cannot be rolled back: {reason}",
            path=os.fsdecode(self._path),
            reason=failure.getErrorMessage(),
        )


def transactions_of(repositories: Iterable[bytes]) -> list[bytes]:
    """Return the repositories that have a transaction, running or abandoned. Blocks."""
    return [path for path in repositories if Path(os.fsdecode(_journal_of(path))).exists()]


async def recover_all(repositories: Iterable[bytes], pool: WorkerPool) -> None:
    """Roll back the abandoned transactions of repositories, one after the other."""
    for path in repositories:
        waiting = RecoveryGate(path, pool).wait(Permission.RW)
        if waiting is not None:
            await waiting


def _journal_of(repository: bytes) -> bytes:
    return b"%s/.hg/store/journal" % repository
