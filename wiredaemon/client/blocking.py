"""The client for scripts: each call blocks until its answer is there.

For instance::

    with blocking.connect("hgrpc://example.org/repository") as connection:
        heads = connection.call("heads").result()
        for value in connection.call("changesetdata", {...}):
            ...

It has an event loop of its own, which runs only while a caller waits. A connection belongs to
the thread that uses it: another one that comes meanwhile is refused, and may use it afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from wiredaemon.client.blocking_runtime import BlockingRuntime
from wiredaemon.client.blocking_waits import another_thread
from wiredaemon.client.call import Call
from wiredaemon.client.connecting import open_connection
from wiredaemon.client.errors import CLOSED, ClientError
from wiredaemon.client.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from wiredaemon.client.call import Observer
    from wiredaemon.client.connecting import Connection
    from wiredaemon.client.description import Description
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Tls
    from wiredaemon.commands import Permission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_UNWATCHED: Final = 0.05
"""Seconds after which the loop has a turn before a call, which costs as much as a tenth of one."""


def connect(url: str, options: ClientOptions = DEFAULT_OPTIONS) -> BlockingConnection:
    """Connect to a server, and learn what it offers.

    Args:
        url: As of `wiredaemon.client.connect`.
        options: Dialect, encodings, login, trust, times and limits.

    Raises:
        ClientError: The server cannot be reached, or does not offer what the options ask for.
    """
    return BlockingConnection(url, options)


class BlockingConnection:
    """A connection to a server, over any transport."""

    def __init__(self, url: str, options: ClientOptions) -> None:
        """Connect, as `connect` says."""
        self._url = url
        self._options = options
        self._is_closed = False
        """Its owner has closed it."""
        self._open(BlockingRuntime())

    def _open(self, runtime: BlockingRuntime) -> None:
        try:
            connection = runtime.complete(open_connection(runtime, self._url, self._options))
        except BaseException:
            runtime.close()
            raise
        self._runtime = runtime
        self._connection: Connection = connection
        self._used = runtime.now()
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
        permission: Permission | Literal["ro", "rw"] | None = None,
        observer: Observer | None = None,
        timeout: float | None = None,
    ) -> BlockingCall:
        """Call a command; the request is sent at once, and every failure is the call's.

        The arguments are those of `wiredaemon.client.connecting.Connection.call`.
        """
        one_thread = self._runtime.one_thread
        if not one_thread.try_enter(False):  # noqa: FBT003 as a keyword it costs more
            return self._failed(another_thread())
        try:
            self._prepare()
            call = self._connection.call(
                command,
                arguments,
                data=data,
                permission=permission,
                observer=observer,
                timeout=timeout,
            )
        except ClientError as error:
            return self._failed(error)
        except BaseException as error:
            self._runtime.note_error(error)
            raise
        finally:
            one_thread.leave()
        return BlockingCall(self, self._runtime, call)

    def _failed(self, error: ClientError) -> BlockingCall:
        call = Call(self._runtime)
        call.fail(error)
        return BlockingCall(self, self._runtime, call)

    def _prepare(self) -> None:
        """Connect anew where the connection is gone.

        Raises:
            ClientError: That fails.
        """
        runtime = self._runtime
        if runtime.is_waiting:
            return
        if runtime.is_closed and not self._is_closed:
            # Interrupted where something was half done.
            self._open(BlockingRuntime(one_thread=runtime.one_thread))
            return
        now = runtime.now()
        if now - self._used > _UNWATCHED:
            # A server may have closed the connection while nobody looked: it is made anew then.
            runtime.look()
        self._used = now

    def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""
        return self._runtime.complete(self._connection.describe())

    def close(self) -> None:
        """Close the connection; calls without a complete response fail.

        Raises:
            ClientError: Somebody waits for it, or another thread uses it.
        """
        with self._runtime.one_thread:
            self._is_closed = True
            if self._runtime.is_closed:
                self._runtime.end = CLOSED
            else:
                self._runtime.complete(self._connection.close())
                self._runtime.close()

    def __del__(self) -> None:
        """Close the sockets of a connection that was forgotten."""
        if hasattr(self, "_runtime"):  # it was open
            self._runtime.drop()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()


class BlockingCall:
    """The objects of one response, as they arrive; an iterator."""

    __slots__ = ("_call", "_connection", "_runtime")

    def __init__(
        self, connection: BlockingConnection, runtime: BlockingRuntime, call: Call
    ) -> None:
        """Wrap a call.

        Args:
            connection: Stays open as long as there is the call.
            runtime: Runs while the call is waited for.
            call: The call.
        """
        self._connection = connection
        self._runtime = runtime
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        """Return itself: a response can be iterated over once."""
        return self

    def __next__(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the next object, once it has arrived."""
        if self._call.has_waiting:
            try:
                with self._runtime.one_thread:
                    return self._call.take()
            except BaseException as error:
                self._runtime.note_error(error)
                raise
        try:
            return self._runtime.complete(self._call.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def result(self) -> Any:  # noqa: ANN401 whatever the command gives
        """Return the object of a response that consists of exactly one."""
        return self._runtime.complete(self._call.result())

    def close(self) -> None:
        """Drop the objects that were not taken, and have the server stop the command."""
        try:
            with self._runtime.one_thread:
                self._call.close()
        except BaseException as error:
            self._runtime.note_error(error)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do as `close`."""
        self.close()
