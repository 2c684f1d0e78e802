"""Blocking commands: run in a thread, which delivers their objects with back-pressure."""

from __future__ import annotations

from contextlib import closing
from inspect import isgenerator
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from wiredaemon.net.responding.handover import Handover

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence

    from wiredaemon.commands import Context, Followed, Peer, Permission, Repository, Value
    from wiredaemon.net.guard.command_threads import CommandThreads
    from wiredaemon.net.responding.handover import Deliver


def run_in_thread(
    threads: CommandThreads, call: Callable[[], Any], deliver: Deliver, end: object
) -> Deferred[Any]:
    """Call a function in one of the threads of blocking commands.

    Args:
        threads: The threads, whose reactor takes the objects.
        call: The blocking function. A generator that it returns runs in the thread as well.
        deliver: Is called with the generator's objects, as `Handover` says.
        end: The result in place of a generator that has ended.

    Returns:
        The function's result, or ``end``; see `CommandThreads.call` for how it is cancelled.
    """

    def run() -> Any:  # noqa: ANN401 whatever the function gives
        result = call()
        if not isgenerator(result):
            return result
        # Closed in this thread, also when delivering fails: a generator may hold files open.
        handover = Handover(threads.reactor, deliver)
        with closing(result):
            for value in result:
                handover.put(value)
            handover.finish()
        return end

    return threads.call(run)


class BlockingContext:
    """The context of a blocking command: methods that others await block instead."""

    def __init__(self, context: Context, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Wrap the context of one request."""
        self._context = context
        self._reactor = reactor
        self.data = BlockingData(context, reactor)

    @property
    def peer(self) -> Peer:
        """The client at the other end."""
        return self._context.peer

    @property
    def permission(self) -> Permission:
        """The permission that was granted for this request."""
        return self._context.permission

    @property
    def state(self) -> Any:  # noqa: ANN401 the embedding program's own
        """The state of the program that the commands are embedded in."""
        return self._context.state

    @property
    def reactor(self) -> Any:  # noqa: ANN401 as above
        """The reactor, of which a thread may only use ``callFromThread``."""
        return self._reactor

    @property
    def cancelled(self) -> bool:
        """The request was cancelled: its result will not be sent."""
        return self._context.cancelled

    @property
    def deadline(self) -> float | None:
        """The moment of the reactor's clock at which the caller waits no longer; None if never."""
        return self._context.deadline

    @property
    def time_left(self) -> float | None:
        """The seconds that the caller still waits, at least 0; None if it waits for ever."""
        return self._context.time_left

    @property
    def followed(self) -> Followed | None:
        """The redirects that the peer follows; None if it did not say that it follows any."""
        return self._context.followed

    @property
    def repository(self) -> BlockingRepository:
        """The repository; raises `ServerError` where there is none."""
        return BlockingRepository(self._context.repository, self._reactor)

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line of text for people while the command runs."""
        # Not awaited: text is no answer, and a command need not wait for a slow reader of it.
        self._reactor.callFromThread(self._context.write_text, message, *arguments, labels=labels)

    def progress(self, topic: str, position: int, total: int | None = None, **more: str) -> None:
        """Send the progress of the command; ``more`` is ``label`` and ``item``."""
        self._reactor.callFromThread(self._context.progress, topic, position, total, **more)


class BlockingData:
    """Command data as an ordinary iterator of its pieces."""

    def __init__(self, context: Context, reactor: Any) -> None:  # noqa: ANN401 as above
        """Iterate over the data of one request."""
        self._pieces = context.data.__aiter__()
        self._reactor = reactor

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces, in order; raises `CommandError` if input ends too early."""
        while (piece := self._next()) is not None:
            yield piece

    def read(self) -> bytes:
        """Return all data that has not been read, as one piece."""
        return b"".join(self)

    def _next(self) -> bytes | None:
        call = cast("Callable[[], Any]", self._next_later)  # the stub knows no union
        piece: bytes | None = blockingCallFromThread(self._reactor, call)
        return piece

    def _next_later(self) -> Deferred[bytes | None]:
        return Deferred.fromCoroutine(self._await_next())

    async def _await_next(self) -> bytes | None:
        return await anext(self._pieces, None)


class BlockingRepository:
    """The repository of a blocking command: calls block until the worker has answered."""

    def __init__(self, repository: Repository, reactor: Any) -> None:  # noqa: ANN401 as above
        """Wrap a repository."""
        self._repository = repository
        self._reactor = reactor

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> object:
        """Run a value command and wait for its result."""
        return blockingCallFromThread(self._reactor, self._repository.call, command, arguments)

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> Generator[Value, None, None]:
        """Run a stream command and yield its objects as they come, still encoded."""
        objects = self._repository.stream(command, arguments)

        # None is the end: encoded objects are never None.
        async def take() -> Value:
            try:
                return await objects.__anext__()
            except StopAsyncIteration:
                return None

        def wait_for(coroutine: Callable[[], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401 what it gives
            return blockingCallFromThread(
                self._reactor, lambda: Deferred.fromCoroutine(coroutine())
            )

        try:
            while (piece := wait_for(take)) is not None:
                yield piece
        finally:
            wait_for(objects.aclose)
