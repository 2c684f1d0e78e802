"""Readers that hold a worker for longer than others should wait.

What they have not read goes to a file, so that their worker is free soon. If the spool is full, the
workers of readers below the minimum rate are killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from wiredaemon.net.workers.deadline import Deadline
from wiredaemon.net.workers.worker_stream import StreamState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.net.workers.calls import StreamCall
    from wiredaemon.net.workers.deadline import Reactor
    from wiredaemon.wire.limits import Limits

_log = Logger()


class SlowReaders:
    """Frees the workers of slow readers, as long as other streams wait for a worker.

    Args:
        reactor: The reactor, for the timer.
        limits: ``worker_drain_rate`` and ``worker_drain_seconds``.
        blocking: Returns the streams that hold a worker while others wait for one; none if no
            stream waits.
    """

    def __init__(
        self, reactor: Reactor, limits: Limits, blocking: Callable[[], Sequence[StreamCall]]
    ) -> None:
        self._limits = limits
        self._blocking = blocking
        self._deadline = Deadline(reactor)
        self._taken: dict[StreamCall, int] = {}
        """The streams that are measured, with the bytes that had been read at its beginning."""

    def relieve(self) -> None:
        """Spool what slow readers have not read, if others wait, and measure them from now on."""
        streams = self._blocking()
        if not streams:
            return
        for call in streams:
            if call.stream is not None and call.stream.state is StreamState.PAUSED:
                call.stream.spool()
        if not self._deadline.is_set:
            self._taken = {
                call: 0 if call.stream is None else call.stream.taken for call in streams
            }
            self._deadline.set(self._limits.worker_drain_seconds, self._check)

    def stop(self) -> None:
        """Measure no more."""
        self._deadline.clear()
        self._taken = {}

    def _check(self) -> None:
        """Stop streams that were hardly read while others waited."""
        taken, self._taken = self._taken, {}
        for call in self._blocking():
            if call.worker is not None and call in taken and self._is_slow(call, taken[call]):
                _log.info(
                    "repository worker {pid} is stopped: its reader is too slow, others wait",
                    pid=call.worker.pid,
                )
                call.worker.kill()
        self.relieve()

    def _is_slow(self, call: StreamCall, taken: int) -> bool:
        stream = call.stream
        # A worker that is not paused is not held by its reader, and a write is never stopped.
        if stream is None or stream.state is not StreamState.PAUSED or not call.may_be_stopped:
            return False
        least = self._limits.worker_drain_rate * self._limits.worker_drain_seconds
        return stream.taken - taken < least
