"""Readers that hold a worker for longer than others should wait.

What they have not taken goes to a file, so that the worker is free soon; where no more may go
there, who hardly reads loses the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from wiredaemon.net.workers.calls import StreamCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.workers.calls import Call
    from wiredaemon.net.workers.process import Reactor, WorkerProcess
    from wiredaemon.wire.limits import Limits

_log = Logger()


class SlowReaders:
    """Of one pool.

    Args:
        reactor: For its timer.
        limits: ``worker_drain_rate`` and ``worker_drain_seconds``.
        calls: What the busy workers run.
        others_wait: Says whether a stream waits for one of them.
    """

    def __init__(
        self,
        reactor: Reactor,
        limits: Limits,
        calls: Mapping[WorkerProcess, Call],
        others_wait: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._calls = calls
        self._others_wait = others_wait
        self._timer: IDelayedCall | None = None

    def relieve(self) -> None:
        """Spool what slow readers have not taken, if others wait, and look again later."""
        if not self._others_wait():
            return
        streams = [call for call in self._calls.values() if isinstance(call, StreamCall)]
        for call in streams:
            if call.stream is not None and call.stream.is_full:
                call.stream.spool()
        if self._timer is None:
            for call in streams:
                call.seen = 0 if call.stream is None else call.stream.taken
            self._timer = self._reactor.callLater(self._limits.worker_drain_seconds, self._check)

    def stop(self) -> None:
        """Look no more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _check(self) -> None:
        """Stop streams whose readers hardly read while others wait."""
        self._timer = None
        if self._others_wait():
            for worker, call in list(self._calls.items()):
                if isinstance(call, StreamCall) and self._is_too_slow(call):
                    _log.info(
                        "repository worker {pid} is stopped: its reader is too slow, others wait",
                        pid=worker.pid,
                    )
                    worker.kill()
        self.relieve()

    def _is_too_slow(self, call: StreamCall) -> bool:
        stream = call.stream
        if stream is None or call.seen is None or not (call.may_be_stopped and stream.is_full):
            return False
        least = self._limits.worker_drain_rate * self._limits.worker_drain_seconds
        return stream.taken - call.seen < least
