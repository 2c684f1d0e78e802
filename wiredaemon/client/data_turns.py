"""Whose data may travel: that of the requests which the server runs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wiredaemon.client.runtime import Runtime, Waiter


class DataTurns:
    """Makes senders wait whose requests the server cannot run yet.

    A server runs a number of requests side by side, the oldest first. The data of another one would
    have to be kept, and stand in front of the data that those which run wait for.
    """

    __slots__ = ("_runtime", "_sending", "_unanswered", "most", "on_room", "waiting")

    def __init__(self, runtime: Runtime, unanswered: Collection[int], most: int) -> None:
        """Begin with nobody waiting.

        Args:
            runtime: Makes waits.
            unanswered: The ids of the requests that wait for answers, the oldest first.
            most: The number of requests that run side by side, until the server tells its own.
        """
        self._runtime = runtime
        self._unanswered = unanswered
        self.waiting: list[Waiter] = []
        self.most = most
        self._sending: set[int] = set()
        """Requests whose data has not ended."""
        self.on_room: Callable[[], None] = _nothing
        """Is called when another request with data may begin."""

    @property
    def has_room(self) -> bool:
        """Another request with data may begin: a server bounds those that are not complete."""
        return len(self._sending) < self.most

    def begin(self, request_id: int) -> None:
        """Note that the data of a request begins."""
        self._sending.add(request_id)

    def end(self, request_id: int) -> None:
        """Note that it has ended."""
        self._sending.discard(request_id)
        self.on_room()

    def is_answered(self, request_id: int) -> bool:
        """Return whether a request waits for nothing any more."""
        return request_id not in self._unanswered

    def has_turn(self, request_id: int) -> bool:
        """Return whether a request is among the oldest, or answered."""
        oldest = islice(self._unanswered, self.most)
        return self.is_answered(request_id) or request_id in oldest

    async def wait(self, request_id: int) -> None:
        """Return when a request is among the oldest, or answered."""
        while not self.has_turn(request_id):
            waiter = self._runtime.waiter()
            self.waiting.append(waiter)
            await waiter

    def wake(self) -> None:
        """Note that a request was answered."""
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for waiter in waiting:
                waiter.wake()


def _nothing() -> None:
    """Stand for a callback that nobody has set."""
