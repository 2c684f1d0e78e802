"""One call as its caller sees it: an asynchronous iterator of the objects of its response."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from wiredaemon.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from wiredaemon.protocol import ProgressReceived
    from wiredaemon.protocol.objects import ObjectReader


class Observer(Protocol):
    """Receives the text and the progress that a command sends beside its result."""

    def receive_text(self, text: bytes) -> None:
        """Receive text for people, in UTF-8."""

    def receive_progress(self, progress: ProgressReceived) -> None:
        """Receive the progress of the command."""


class Call:
    """The objects of one response, as they arrive.

    While objects wait to be taken, nothing more is read from the connection. A caller that stops
    before the end must call `close`, or use `contextlib.aclosing`.

    Raises, from the iteration, behind the objects that came before:
        CommandError, ServerError: The command failed.
        ClientError: Its answer did not arrive.
    """

    def __init__(self, observer: Observer | None = None) -> None:
        """Begin without an answer; connections make calls.

        Args:
            observer: Receives text and progress; without one the server is asked for neither.
        """
        self.observer = observer
        self.on_change: Callable[[], None] = _nothing
        """Is called when all waiting objects were taken, and when the caller waits for more."""
        self.on_closed: Callable[[], None] = _nothing
        """Is called when the caller closes the call before its end."""
        self._objects: deque[object] = deque()
        self._failure: BaseException | None = None
        self._is_over = False
        self._waiter: Deferred[None] | None = None

    # --- the caller's side -------------------------------------------------------------------

    def __aiter__(self) -> Self:
        """Return itself: a response can be iterated over once."""
        return self

    async def __anext__(self) -> object:
        """Return the next object, once it has arrived."""
        # A loop: a failure and `close` wake the caller as well, with nothing to take.
        while not self._objects:
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                raise StopAsyncIteration
            await self._arrival()
        value = self._objects.popleft()
        # Only then: reading stays paused as long as any object waits.
        if not self._objects:
            self.on_change()
        return value

    async def result(self) -> object:
        """Return the object of a response that consists of exactly one."""
        values = [value async for value in self]
        if len(values) != 1:
            raise ClientError(f"the response has {len(values)} objects, where one was expected")
        return values[0]

    def close(self) -> None:
        """Drop the objects that were not taken; the command itself may go on."""
        if not self._is_over:
            self._is_over = True
            self.on_closed()
        self._objects.clear()
        self.on_change()
        self._wake()

    async def aclose(self) -> None:
        """Do as `close`, for `contextlib.aclosing`."""
        self.close()

    def _arrival(self) -> Deferred[None]:
        # Before the connection is told, because it may have the object at hand and wake us at once.
        waiter = self._waiter = Deferred()
        self.on_change()
        return waiter

    # --- the connection's side ---------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Objects have arrived that were not taken."""
        return bool(self._objects)

    @property
    def is_awaited(self) -> bool:
        """The caller waits for the next object."""
        return self._waiter is not None and not self._waiter.called

    @property
    def is_over(self) -> bool:
        """The response has ended, or the call was closed."""
        return self._is_over

    def receive_objects(self, objects: Iterable[object]) -> None:
        """Add further objects of the response."""
        if not self._is_over:
            self._objects.extend(objects)
            self._wake()

    def receive_end(self) -> None:
        """Note that the response is complete."""
        self._is_over = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Note a failure; only the first outcome counts."""
        if not self._is_over:
            self._is_over = True
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.callback(None)


def _nothing() -> None:
    """Stand for a callback that nobody has set."""


@dataclass(slots=True)
class SentRequest:
    """A request that is not answered: its call, and what reads its response."""

    call: Call
    reader: ObjectReader
    incomplete: int = 0
    """Bytes received since the last object was complete."""
    sending: Deferred[None] | None = None
