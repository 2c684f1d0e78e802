"""Commands that wait for a worker: how many may, and which of them comes next.

No more than half of the workers, without the one that is kept, run long commands of one peer, or
for one repository where several are asked for. Who has least running comes next, and where no more
may wait, who has most waiting is refused: many requests of some peers are no wait for the others.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from wiredaemon.commands import ServerError
from wiredaemon.net.workers.calls import StreamCall, ValueCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wiredaemon.net.workers.calls import Call


class CallQueue:
    """Value calls and stream calls that wait, and the long ones that run.

    Long are streams and writes: both hold a worker for as long as a reader or a hook wants. A
    stream that is short waits among the values.

    Args:
        workers: Workers that there may be; one of them is kept for values that are only read.
        places: Calls of each kind that may wait, ``worker_queue``.
    """

    def __init__(self, workers: int, places: int) -> None:
        self._most_long = max(1, workers - 1)
        # Half, so that one peer, or one repository, cannot keep all others from streaming.
        self._share = max(1, self._most_long // 2)
        self._places = places
        self._values: deque[ValueCall | StreamCall] = deque()
        self._streams: deque[StreamCall] = deque()
        self._running: dict[Call[Any], None] = {}
        """The long ones that run."""
        self._repository: bytes | None = None
        self._has_several = False
        """Calls have been for more than one repository: one that is alone may have all workers."""

    @property
    def running(self) -> Sequence[StreamCall]:
        """The streams that hold a worker, in the order they began."""
        return [call for call in self._running if isinstance(call, StreamCall)]

    @property
    def waiting(self) -> tuple[int, int]:
        """How many calls wait: values, with the streams that are short, and streams."""
        return len(self._values), len(self._streams)

    @property
    def has_waiting(self) -> bool:
        """A call waits, though perhaps it may not begin yet."""
        return bool(self._values or self._streams)

    def is_quiet(self, *, beside_others: bool = False) -> bool:
        """Return whether no call waits, and no long one runs.

        Args:
            beside_others: As many long ones may run as those of a peer may, without one.
        """
        most = self._share if beside_others else 1
        return len(self._running) < most and not self.has_waiting

    @property
    def has_waiting_streams(self) -> bool:
        """A stream waits."""
        return bool(self._streams)

    def add(self, call: ValueCall | StreamCall) -> None:
        """Let a call wait."""
        repository = call.context.repository
        if repository != self._repository:
            self._has_several |= self._repository is not None
            self._repository = repository
        self._waiting(call).append(call)

    def add_again(self, call: Call[Any]) -> None:
        """Let a call wait in front of all others: it has run, and was not answered."""
        self._waiting(call).appendleft(call)

    def next(
        self, suits: Callable[[Call[Any]], object] = bool, *, may_be_long: bool = True
    ) -> Call[Any] | None:
        """Return the call that an idle worker should run: values first, for they are short.

        Args:
            suits: Returns a true value for calls that an idle worker can run; by default all.
            may_be_long: An idle worker is left for short ones.
        """
        # The first that may begin, not the first: the many requests of one peer, or for one
        # repository, hold up nobody else's.
        for value in self._values:
            if value.is_long and not (may_be_long and self._may_begin(value)):
                continue
            if suits(value):
                return value
        if not may_be_long or len(self._running) >= self._most_long:
            return None
        running = Counter(each.share for each in self._running)
        # Sorting keeps the order of those with the same number.
        for stream in sorted(self._streams, key=lambda each: running[each.share]):
            if self._may_begin(stream) and suits(stream):
                return stream
        return None

    def _may_begin(self, call: ValueCall | StreamCall) -> bool:
        """Return whether a long call leaves enough workers for others."""
        # Counted anew: there are as many long calls as workers, at most, and a count that is kept
        # has to be right on every way out.
        if len(self._running) >= self._most_long:
            return False
        share = call.share
        if share is not None and self._is_used_up(each.share == share for each in self._running):
            return False
        repository = call.context.repository
        return not self._has_several or not self._is_used_up(
            each.context.repository == repository for each in self._running
        )

    def _is_used_up(self, same: Iterable[bool]) -> bool:
        return sum(same) >= self._share

    def begin(self, call: Call[Any]) -> None:
        """Let a call wait no more, which was the `next` one: it runs."""
        self._waiting(call).remove(call)
        if call.is_long:
            self._running[call] = None

    def end(self, call: Call[Any]) -> None:
        """Note that a call holds no worker any more."""
        self._running.pop(call, None)

    def remove(self, call: Call[Any]) -> bool:
        """Let a call wait no more; return whether it did."""
        waiting = self._waiting(call)
        if call not in waiting:
            return False
        waiting.remove(call)
        return True

    def _waiting(self, call: Call[Any]) -> deque[Any]:
        return self._streams if isinstance(call, StreamCall) and call.is_long else self._values

    def refuse_all(self, text: str) -> None:
        """Let all calls that wait fail."""
        calls: list[Call[Any]] = [*self._values, *self._streams]
        # First, for a caller may ask for something else at once.
        self._values.clear()
        self._streams.clear()
        for call in calls:
            call.refuse(ServerError(text))

    def surplus(self, call: ValueCall | StreamCall) -> Call[Any] | None:
        """Return the call that must not wait, now that one more was added; None if all may.

        It is the newest of the peer with most of them. Values and streams are counted apart:
        streams that wait keep no value from its worker.

        Args:
            call: The one that was added last.
        """
        waiting: deque[Call[Any]] = self._waiting(call)
        of_share = Counter(each.share for each in waiting)
        same = of_share[call.share]
        if call.share is not None and call.is_long and same > max(1, self._places // 2):
            return call
        if len(waiting) <= self._places:
            return None
        share, most = of_share.most_common(1)[0]
        newest = (each for each in reversed(waiting) if each.share == share)
        return call if same >= most else next(newest)
