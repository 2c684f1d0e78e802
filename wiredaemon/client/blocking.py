"""The client for scripts: each call blocks until its answer is there.

For instance::

    with blocking.connect("hgrpc://example.org/repository") as connection:
        heads = connection.call("heads").result()
        for value in connection.call("changesetdata", {...}):
            ...

It has an event loop of its own, which runs only while a caller waits. A connection belongs to the
thread that uses it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wiredaemon.client.aio_runtime import AioRuntime
from wiredaemon.client.connecting import open_connection
from wiredaemon.client.errors import ClientError, ConnectionLostError
from wiredaemon.client.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Mapping
    from typing import Self

    from wiredaemon.client.call import Call, Observer
    from wiredaemon.client.connecting import Connection
    from wiredaemon.client.description import Description
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Tls
    from wiredaemon.commands import Permission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_T = TypeVar("_T")
_END: Final = object()
_UNWATCHED: Final = 0.05
"""Seconds after which the loop has a turn before a call, which takes some 30 us."""


def connect(url: str, options: ClientOptions = DEFAULT_OPTIONS) -> BlockingConnection:
    """Connect to a server, and learn what it offers.

    Args:
        url: As of `wiredaemon.client.connect`.
        options: Dialect, encodings, login, trust, times and limits.

    Raises:
        ClientError: The server cannot be reached, or does not offer what the options ask for.
    """
    loop = asyncio.new_event_loop()
    try:
        connection = _wait(loop, open_connection(AioRuntime(loop), url, options))
    except BaseException:
        loop.close()
        raise
    return BlockingConnection(loop, connection)


def _wait(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end.

    Raises:
        ClientError: An event loop runs in this thread, which must not be blocked.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 the public one raises, which is slower
        coroutine.close()
        raise ClientError("an event loop runs in this thread: use wiredaemon.client.aio there")
    if loop.is_closed():
        return _outcome(coroutine)
    task = loop.create_task(coroutine)
    try:
        return loop.run_until_complete(task)
    except BaseException:
        # Ctrl-C, for instance: the wait ends with its caller, and leaves nothing to the next one.
        if not task.done():
            task.cancel()
            with suppress(BaseException):
                loop.run_until_complete(task)
        raise


def _outcome(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Return what a coroutine has to say that need not wait, because its connection is closed."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        value: _T = ended.value
        return value
    coroutine.close()
    raise ConnectionLostError("the connection was closed")


class BlockingConnection:
    """A connection to a server, over any transport."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        """Wrap a connection that is open; `connect` makes them."""
        self._loop = loop
        self._connection = connection
        self._used = loop.time()
        """The time of the last call."""

    @property
    def dialect(self) -> Dialect:
        """The framing that is spoken."""
        return self._connection.dialect

    @property
    def tls(self) -> Tls | None:
        """The version, the cipher and the server's certificate; None without TLS."""
        return self._connection.tls

    @property
    def has_session(self) -> bool:
        """The server keeps a session: calls are cancelled one by one. Never over HTTP."""
        return self._connection.has_session

    def call(  # noqa: PLR0913 all that a call is made of
        self,
        command: bytes | str,
        arguments: Mapping[bytes, Value] | Mapping[str, Value] | None = None,
        *,
        data: bytes | Iterable[bytes] | None = None,
        permission: Permission | None = None,
        observer: Observer | None = None,
        timeout: float | None = None,
    ) -> BlockingCall:
        """Call a command; the request is sent at once, and every failure is the call's.

        The arguments are those of `wiredaemon.client.connecting.Connection.call`.
        """
        now = self._loop.time()
        if now - self._used > _UNWATCHED and not self._loop.is_closed():
            # A server may have closed the connection while nobody looked: it is made anew then.
            _wait(self._loop, asyncio.sleep(0))
        self._used = now
        call = self._connection.call(
            command,
            arguments,
            data=data,
            permission=permission,
            observer=observer,
            timeout=timeout,
        )
        return BlockingCall(self._loop, call)

    def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""
        return _wait(self._loop, self._connection.describe())

    def close(self) -> None:
        """Close the connection; calls without a complete response fail."""
        if self._loop.is_closed():
            return
        _wait(self._loop, self._connection.close())
        self._loop.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()


class BlockingCall:
    """The objects of one response, as they arrive; an iterator."""

    __slots__ = ("_call", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Call) -> None:
        """Wrap a call."""
        self._loop = loop
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        """Return itself: a response can be iterated over once."""
        return self

    def __next__(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the next object, once it has arrived."""
        # Without a turn of the loop, which takes ten times as long as all else.
        if self._call.has_waiting:
            return self._call.take()
        value = _wait(self._loop, self._next())
        if value is _END:
            raise StopIteration
        return value

    async def _next(self) -> object:
        # A coroutine must not raise StopIteration, nor the asynchronous one through a Future.
        async for value in self._call:
            return value
        return _END

    def result(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the object of a response that consists of exactly one."""
        return _wait(self._loop, self._call.result())

    def close(self) -> None:
        """Drop the objects that were not taken, and have the server stop the command."""
        self._call.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do as `close`."""
        self.close()
