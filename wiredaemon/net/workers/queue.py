"""Commands that wait for a worker: how many may, and which of them comes next."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from wiredaemon.net.workers.calls import StreamCall, ValueCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.workers.calls import Call


class CallQueue:
    """Value calls and stream calls, each in the order they came, and the streams that run.

    Args:
        workers: Workers that there may be; one of them is kept for values, which are short.
        places: Calls of each kind that may wait, ``worker_queue``.
    """

    def __init__(self, workers: int, places: int) -> None:
        self._most_streams = max(1, workers - 1)
        # Half, so that one peer cannot keep all others from streaming.
        self._share = max(1, self._most_streams // 2)
        self._places = places
        self._values: deque[ValueCall] = deque()
        self._streams: deque[StreamCall] = deque()
        self._running: dict[StreamCall, None] = {}

    @property
    def running(self) -> Sequence[StreamCall]:
        """The streams that hold a worker, in the order they began."""
        return list(self._running)

    @property
    def has_waiting(self) -> bool:
        """A call waits, though perhaps it may not begin yet."""
        return bool(self._values or self._streams)

    @property
    def has_waiting_streams(self) -> bool:
        """A stream waits."""
        return bool(self._streams)

    def add(self, call: ValueCall | StreamCall) -> None:
        """Let a call wait."""
        if isinstance(call, ValueCall):
            self._values.append(call)
        else:
            self._streams.append(call)

    def next(self) -> Call[Any] | None:
        """Return the call that an idle worker should run: values first, for they are short."""
        if self._values:
            return self._values[0]
        if not self._streams or len(self._running) >= self._most_streams:
            return None
        # The first that may begin, not the first: one peer's many requests hold up nobody else's.
        # Counted anew: there are as many streams as workers, at most, and a count that is kept has
        # to be right on every way out.
        shares = Counter(call.share for call in self._running)
        for call in self._streams:
            if call.share is None or shares[call.share] < self._share:
                return call
        return None

    def begin(self, call: Call[Any]) -> None:
        """Let a call wait no more, which was the `next` one: it runs."""
        if isinstance(call, StreamCall):
            self._streams.remove(call)
            self._running[call] = None
        else:
            self._values.popleft()

    def end(self, call: StreamCall) -> None:
        """Note that a stream holds no worker any more."""
        self._running.pop(call, None)

    def remove(self, call: Call[Any]) -> bool:
        """Let a call wait no more; return whether it did."""
        waiting: deque[Any] = self._values if isinstance(call, ValueCall) else self._streams
        if call not in waiting:
            return False
        waiting.remove(call)
        return True

    def refuse_all(self, text: str) -> None:
        """Let all calls that wait fail."""
        calls: list[Call[Any]] = [*self._values, *self._streams]
        # First, for a caller may ask for something else at once.
        self._values.clear()
        self._streams.clear()
        for call in calls:
            call.refuse(text)

    def has_room_for(self, call: ValueCall | StreamCall) -> bool:
        """Return whether a call that was just added may wait.

        Values and streams are counted apart: streams that wait keep no value from its worker.
        """
        if isinstance(call, ValueCall):
            return len(self._values) <= self._places
        if len(self._streams) > self._places:
            return False
        if call.share is None:
            return True
        same = sum(call.share == each.share for each in self._streams)
        return same <= max(1, self._places // 2)
