"""The workers of a pool, counted: how many there should be, and which of them long calls may take.

A short call finds a worker that is ready, for starting one takes half a second, and seconds where
eight compute:

1. Long calls leave one idle worker. One that would need the last waits for another: it is started.
2. Where only one worker exists, and no other one is being started or soon will be, a long call
   takes it. A spare one is started at once.
3. Never fewer than ``worker_least`` exist, so that the first long call begins at once.
4. Idle workers beyond those end, but for the last idle one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from wiredaemon.net.workers.worker_state import WorkerState

if TYPE_CHECKING:
    from collections.abc import Collection, Sized

    from wiredaemon.net.workers.process import WorkerProcess
    from wiredaemon.net.workers.queue import CallQueue
    from wiredaemon.net.workers.restarts import Restarts
    from wiredaemon.net.workers.running_calls import RunningCalls
    from wiredaemon.wire.limits import Limits

_LEAST_PROCESSES: Final = 8
"""Workers that may run where the configuration names no number, on however small a machine.

Streams hold a worker while their reader reads, which costs hardly any processor time.
"""


def most_workers(limits: Limits) -> int:
    """Return how many workers there may be."""
    return limits.worker_processes or max(_LEAST_PROCESSES, 2 * (os.cpu_count() or 1))


class Staff:
    """Counts the workers of a pool; it changes nothing.

    Args:
        limits: ``worker_processes`` and ``worker_least``.
        workers: All workers whose process is not gone.
        idle: Those that wait for a command.
        queue: The calls that wait.
        calls: The calls that run.
        restarts: Says when none may be started.
    """

    def __init__(  # noqa: PLR0913 what there is to count
        self,
        limits: Limits,
        *,
        workers: Collection[WorkerProcess],
        idle: Sized,
        queue: CallQueue,
        calls: RunningCalls,
        restarts: Restarts,
    ) -> None:
        self.most = most_workers(limits)
        """Workers that there may be."""
        self._least = min(self.most, max(1, limits.worker_least))
        self._workers = workers
        self._idle = idle
        self._queue = queue
        self._calls = calls
        self._restarts = restarts

    @property
    def has_place(self) -> bool:
        """There may be one more."""
        return len(self._workers) < self.most

    @property
    def lasting(self) -> list[WorkerProcess]:
        """The workers that were not told to end."""
        return [worker for worker in self._workers if worker.state is not WorkerState.ENDING]

    @property
    def is_settled(self) -> bool:
        """No worker starts or ends."""
        return {worker.state for worker in self._workers} <= _WORKING

    @property
    def lacks_one(self) -> bool:
        """There are fewer than there should always be (rule 3)."""
        return self.has_place and len(self.lasting) < self._least

    @property
    def spares_one(self) -> bool:
        """A long call may take an idle worker (rules 1 and 2)."""
        idle = len(self._idle)
        if idle > 1 or self.most == 1:
            return idle > 0
        # A worker that has died is replaced after a pause, and starts that fail are tried again for
        # ever: the first is worth waiting for.
        is_replaced = self._restarts.must_wait and not self._restarts.failed_starts
        return idle == 1 and len(self.lasting) == 1 and not is_replaced

    @property
    def wants_one(self) -> bool:
        """One more should be started, if that does not have to wait."""
        if not self.has_place:
            return False
        lasting = self.lasting
        if len(lasting) < self._least:
            return True
        # One after the other: by the time that one is ready, others may have become idle.
        if any(worker.state is WorkerState.STARTING for worker in lasting):
            return False
        return self._queue.next() is not None or all(map(self._runs_long_call, lasting))

    @property
    def may_end_idle(self) -> bool:
        """An idle worker may end (rule 4)."""
        return len(self._idle) > 1 and len(self.lasting) > self._least

    def _runs_long_call(self, worker: WorkerProcess) -> bool:
        call = self._calls.of(worker)
        return call is not None and call.is_long


_WORKING: Final = frozenset({WorkerState.IDLE, WorkerState.BUSY})
