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
        """Take text for people, UTF-8."""

    def receive_progress(self, progress: ProgressReceived) -> None:
        """Take how far the command has come."""


class Call:
    """The objects of one response, as they arrive.

    While objects wait to be taken nothing more is read from the connection. Who stops before the
    end says `close`, or `contextlib.aclosing` does it for them.

    Raises, from the iteration, behind the objects that came before:
        CommandError, ServerError: The command failed.
        ClientError: Its answer did not arrive.
    """

    def __init__(self, observer: Observer | None = None) -> None:
        """Begin before the answer; connections make calls.

        Args:
            observer: Of text and progress; None asks the server for neither.
        """
        self.observer = observer
        self.on_change: Callable[[], None] = _nothing
        """Called when all that waited was taken, and when the caller waits for more."""
        self.on_closed: Callable[[], None] = _nothing
        """Called when the caller wants no more, before the end."""
        self._objects: deque[object] = deque()
        self._failure: BaseException | None = None
        self._is_over = False
        self._waiter: Deferred[None] | None = None

    # --- the caller's side -------------------------------------------------------------------

    def __aiter__(self) -> Self:
        """Give itself: a response can be gone through once."""
        return self

    async def __anext__(self) -> object:
        """Give the next object, when there is one."""
        while not self._objects:
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                raise StopAsyncIteration
            await self._arrival()
        value = self._objects.popleft()
        if not self._objects:
            self.on_change()
        return value

    async def result(self) -> object:
        """Give the object of a response that consists of exactly one."""
        values = [value async for value in self]
        if len(values) != 1:
            raise ClientError(f"the response has {len(values)} objects, where one was expected")
        return values[0]

    def close(self) -> None:
        """Give up what has not been taken; the command itself may go on."""
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
        waiter = self._waiter = Deferred()
        self.on_change()
        return waiter

    # --- the connection's side ---------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Objects wait to be taken."""
        return bool(self._objects)

    @property
    def is_awaited(self) -> bool:
        """The caller waits for the next object."""
        return self._waiter is not None and not self._waiter.called

    @property
    def is_over(self) -> bool:
        """Nothing more can come."""
        return self._is_over

    def receive_objects(self, objects: Iterable[object]) -> None:
        """Take further objects of the response."""
        if not self._is_over:
            self._objects.extend(objects)
            self._wake()

    def receive_end(self) -> None:
        """Say that the response is complete."""
        self._is_over = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Say how it failed; only the first outcome counts."""
        if not self._is_over:
            self._is_over = True
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.callback(None)


def _nothing() -> None:
    """Be told before anybody listens."""


@dataclass(slots=True)
class SentRequest:
    """A request that is not answered: its call, and what reads its response."""

    call: Call
    reader: ObjectReader
    incomplete: int = 0
    """Bytes received since the last object was complete."""
    sending: Deferred[None] | None = None
