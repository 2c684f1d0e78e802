"""One call as its caller sees it: an asynchronous iterator of the objects of its response."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from wiredaemon.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Self

    from wiredaemon.client.runtime import Runtime, Waiter
    from wiredaemon.protocol import ProgressReceived


_TAKEN: Final[deque[object]] = deque(maxlen=0)
"""Stands for the objects of a call whose response was taken."""
_CLOSED: Final[deque[object]] = deque(maxlen=0)
"""Stands for the objects of a call that its caller has closed."""
_NO_OBJECT: Final = "the response has no object, where one was expected"
_REASONS: Final = {
    id(_TAKEN): "the response was taken already: it is there once",
    id(_CLOSED): "the call was closed",
}


class Observer(Protocol):
    """Receives the text and the progress that a command sends beside its result."""

    def receive_text(self, text: bytes) -> None:
        """Receive text for people, in UTF-8."""

    def receive_progress(self, progress: ProgressReceived) -> None:
        """Receive the progress of the command."""


class Carrier(Protocol):
    """The requests and responses of a connection, which brings calls their objects."""

    is_holding: bool
    """Something waits for callers to take what has come, or is held back until they do."""

    def call_changed(self, call: Call) -> None:
        """Note that all waiting objects were taken, or that the caller waits for more."""

    def call_closed(self, call: Call) -> None:
        """Note that the caller has closed the call before its end."""


class Recovery(Protocol):
    """Makes a call once more instead of letting it fail."""

    def recover(self, call: Call, error: BaseException) -> bool:
        """Return whether it does."""


class Call:
    """The objects of one response, as they arrive.

    Awaited, it gives the object of a response that has exactly one. While objects wait to be
    taken, nothing more is read from the connection. A caller that stops before the end must call
    `close`, or use ``async with``: the server is then told to stop the command.

    A failure is raised after the objects that came before it.

    Raises:
        CommandError, ServerError: The command failed.
        ClientError: Its answer did not arrive.
    """

    __slots__ = (
        "_failure",
        "_objects",
        "_runtime",
        "_waiter",
        "carrier",
        "is_over",
        "observer",
        "recovery",
        "request_id",
    )

    def __init__(self, runtime: Runtime, observer: Observer | None = None) -> None:
        """Begin without an answer; connections make calls.

        Args:
            runtime: Makes waits.
            observer: Receives text and progress; without one the server is asked for neither.
        """
        self.observer = observer
        self.carrier: Carrier = _NOBODY
        """Brings the objects."""
        self.request_id = 0
        """The id that the request has there."""
        self.recovery: Recovery | None = None
        """Is asked before a failure counts, until the first object has come."""
        self._runtime = runtime
        self._objects: deque[object] = deque()
        self._failure: BaseException | None = None
        self.is_over = False
        """The response has ended, or the call was closed."""
        self._waiter: Waiter | None = None

    # --- the caller's side -------------------------------------------------------------------

    def __aiter__(self) -> Self:
        """Return itself: a response can be iterated over once."""
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the next object, once it has arrived."""
        # A loop: a failure and `close` wake the caller as well, with nothing to take.
        while not self._objects:
            if self._failure is not None:
                raise self._failure
            if self.is_over:
                if self._objects is not _CLOSED:
                    self._objects = _TAKEN
                raise StopAsyncIteration
            await self._arrive()
        return self.take()

    def take(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the next object of those that wait: see `has_waiting`."""
        value = self._objects.popleft()
        # Only then: reading stays paused as long as any object waits.
        if not self._objects and self.carrier.is_holding:
            self.carrier.call_changed(self)
        return value

    def __await__(self) -> Generator[Any, Any, Any]:
        """Return the object of a response that consists of exactly one, as `result`."""
        return self.result().__await__()

    async def result(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the object of a response that consists of exactly one.

        A caller that is cancelled meanwhile closes the call.
        """
        objects = self._objects
        try:
            while not self.is_over and len(objects) <= 1:
                # As in `_arrive`, whose coroutine nearly all calls do without.
                waiter = self._begin_waiting()
                try:
                    await waiter
                finally:
                    self._waiter = None
        except BaseException:
            self.close()
            raise
        if len(objects) > 1:
            self.close()
            raise ClientError("the response has more than one object: iterate over the call")
        if self._failure is not None:
            raise self._failure
        if not objects:
            raise ClientError(_REASONS.get(id(self._objects), _NO_OBJECT))
        value = objects.popleft()
        self._objects = _TAKEN
        if self.carrier.is_holding:
            self.carrier.call_changed(self)
        return value

    def close(self) -> None:
        """Drop the objects that were not taken, and have the server stop the command."""
        if not self.is_over:
            self.is_over = True
            self.carrier.call_closed(self)
        self._objects.clear()  # a caller that waits in `result` holds this deque
        self._objects = _CLOSED
        self.carrier.call_changed(self)
        self._wake()

    async def aclose(self) -> None:
        """Do as `close`, for `contextlib.aclosing`."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do as `close`."""
        self.close()

    async def _arrive(self) -> None:
        """Wait until something has arrived."""
        waiter = self._begin_waiting()
        try:
            await waiter
        finally:
            # Only now: between the arrival and this turn of the loop the caller is still expected
            # to take what has come.
            self._waiter = None

    def _begin_waiting(self) -> Waiter:
        """Return what is to be awaited, once.

        Raises:
            ClientError: Somebody waits already.
        """
        if self._waiter is not None:
            raise ClientError("another coroutine waits for this call already")
        # Before the carrier is told, because it may have the object at hand and wake us at once.
        waiter = self._waiter = self._runtime.waiter()
        if self.carrier.is_holding:
            self.carrier.call_changed(self)
        return waiter

    # --- the connection's side ---------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Objects have arrived that were not taken."""
        return bool(self._objects)

    @property
    def is_awaited(self) -> bool:
        """The caller waits for the next object, or is about to take it."""
        return self._waiter is not None

    def receive_objects(self, objects: Iterable[object]) -> None:
        """Add further objects of the response."""
        if not self.is_over:
            self.recovery = None
            self._objects.extend(objects)
            self._wake()

    def receive_result(self, value: object) -> None:
        """Add the only object of a response, and end it."""
        if not self.is_over:
            self._objects.append(value)
            self.is_over = True
            if self._waiter is not None:
                self._waiter.wake()

    def receive_end(self) -> None:
        """Note that the response is complete."""
        self.is_over = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Note a failure, unless the call is made once more; only the first outcome counts."""
        if self.is_over:
            return
        if self.recovery is not None and self.recovery.recover(self, error):
            return
        self.is_over = True
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake()


class _Nobody:
    """The carrier of a call that was not sent."""

    is_holding = False

    def call_changed(self, call: Call) -> None:
        """Do nothing."""

    def call_closed(self, call: Call) -> None:
        """Do nothing."""


_NOBODY: Final = _Nobody()
