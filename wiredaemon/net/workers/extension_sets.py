"""Which worker may serve which repository: those that have loaded its set of extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wiredaemon.repository.recently_used import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.workers.calls import Call
    from wiredaemon.net.workers.process import WorkerProcess


class ExtensionSets:
    """The sets of repositories and workers, as far as they are known.

    A worker that is given a repository with another set refuses it, so that an error here costs
    time and nothing else.

    Args:
        most: Repositories whose sets are remembered.
    """

    def __init__(self, most: int) -> None:
        self._of: RecentlyUsed[bytes, bytes] = RecentlyUsed(most)

    def learn(self, repository: bytes, name: bytes) -> None:
        """Note the set of a repository."""
        self._of.keep(repository, name)

    def refused(self, worker: WorkerProcess, call: Call[Any], other: Sequence[bytes]) -> None:
        """Note the sets that a worker has named when it refused a call."""
        wanted, worker.extensions = other
        self.learn(call.context.repository, wanted)

    def pick(self, idle: dict[WorkerProcess, Any], call: Call[Any]) -> WorkerProcess | None:
        """Return the idle worker that should run a call, the one used last of those that suit.

        Args:
            idle: The idle workers, the one used last at the end.
            call: The call.
        """
        # Nearly always: this spares each command eight calls.
        last = next(reversed(idle))
        if last.extensions is None and last.repository == call.context.repository:
            return last
        wanted = self._of.use(call.context.repository)
        new = None
        for worker in reversed(idle):
            if worker.repository is None:
                new = new or worker
            elif wanted is None or self._set_of(worker) in {wanted, None}:
                return worker
        return new

    def take(self, idle: dict[WorkerProcess, Any], call: Call[Any]) -> WorkerProcess:
        """Remove and return the worker that `pick` returns; its first call decides its set.

        Raises:
            KeyError: None suits.
        """
        worker = self.pick(idle, call)
        if worker is None:
            raise KeyError(call)
        del idle[worker]
        if worker.repository is None:
            worker.repository = call.context.repository
        return worker

    def _set_of(self, worker: WorkerProcess) -> bytes | None:
        if worker.extensions is not None or worker.repository is None:
            return worker.extensions
        return self._of.use(worker.repository)
