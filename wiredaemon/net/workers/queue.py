"""Commands that wait for a worker: how many may, and which of them comes next."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from wiredaemon.net.workers.calls import StreamCall, ValueCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.workers.calls import Call


class WaitingCalls:
    """Value calls and stream calls, each in the order they came.

    Args:
        workers: There are at most; one of them is kept for values.
        places: Calls of each kind that may wait, ``worker_queue``.
    """

    def __init__(self, workers: int, places: int) -> None:
        self._most_streams = max(1, workers - 1)
        self._share = max(1, self._most_streams // 2)
        self._places = places
        self._values: deque[ValueCall] = deque()
        self._streams: deque[StreamCall] = deque()

    @property
    def has_streams(self) -> bool:
        """A stream waits."""
        return bool(self._streams)

    def add(self, call: ValueCall | StreamCall) -> None:
        """Let a call wait."""
        if isinstance(call, ValueCall):
            self._values.append(call)
        else:
            self._streams.append(call)

    def take(self, call: Call) -> bool:
        """Let a call wait no more; False says that it did not."""
        if isinstance(call, ValueCall) and call in self._values:
            self._values.remove(call)
            return True
        if isinstance(call, StreamCall) and call in self._streams:
            self._streams.remove(call)
            return True
        return False

    def take_all(self) -> list[Call]:
        """Let all of them wait no more."""
        calls: list[Call] = [*self._values, *self._streams]
        self._values.clear()
        self._streams.clear()
        return calls

    def is_one_too_many(self, call: ValueCall | StreamCall) -> bool:
        """Say whether a call that has just come must not wait.

        Values and streams are counted apart: streams that wait keep no value from its worker.
        """
        if isinstance(call, ValueCall):
            return len(self._values) > self._places
        if len(self._streams) > self._places:
            return True
        if call.share is None:
            return False
        same = sum(call.share == each.share for each in self._streams)
        return same > max(1, self._places // 2)

    def next(self, running: Sequence[StreamCall]) -> Call | None:
        """Give what an idle worker should do: values first, for one worker is kept for them.

        Args:
            running: Streams that hold a worker.
        """
        if self._values:
            return self._values[0]
        if not self._streams or len(running) >= self._most_streams:
            return None
        shares = Counter(call.share for call in running)
        for call in self._streams:
            if call.share is None or shares[call.share] < self._share:
                return call
        return None
