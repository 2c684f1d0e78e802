"""One GET over HTTP, whose body is read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.client.errors import BrokenProtocolError, ClientError, SilentError
from wiredaemon.client.http_messages import RequestHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.client.http_messages import Head
    from wiredaemon.client.http_pool import HttpPool
    from wiredaemon.client.http_stream import HttpStream
    from wiredaemon.client.runtime import Cancellable, Runtime, Waiter


class _Fetch:
    """The exchange of one GET."""

    def __init__(
        self,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        waiter: Waiter,
        limit: int,
    ) -> None:
        self._target = target
        self._headers = headers
        self._waiter = waiter
        self._limit = limit
        self._stream: HttpStream | None = None
        self.head: Head | None = None
        self.content = bytearray()
        self.is_whole = False
        self.error: ClientError | None = None

    def begin(self, stream: HttpStream) -> None:
        if self.error is not None:  # too late
            stream.abort()
            return
        self._stream = stream
        head = RequestHead(b"GET", self._target, self._headers)
        stream.begin(self, head, is_whole=True)

    def receive_head(self, head: Head) -> None:
        self.head = head
        self._waiter.wake()

    def receive_body(self, data: bytes) -> None:
        self.content += data
        if len(self.content) > self._limit:
            self.fail(BrokenProtocolError(f"an answer of more than {self._limit} bytes"))

    def receive_end(self) -> None:
        self._stream = None
        self.is_whole = True
        self._waiter.wake()

    def lost(self, error: ClientError) -> None:
        self._stream = None
        self.fail(error)

    def fail(self, error: ClientError) -> None:
        if self.error is None and not self.is_whole:
            self.error = error
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.abort()
            self._waiter.wake()

    def pause_output(self) -> None:
        """Do nothing: all was written."""

    resume_output = pause_output

    async def step(self, waiter: Waiter) -> None:
        """Wait for the head, or for the end of the body."""
        self._waiter = waiter
        if self.error is None and not self.is_whole:
            await waiter
        if self.error is not None:
            raise self.error


async def fetch(  # noqa: PLR0913 all that a request needs
    runtime: Runtime,
    pool: HttpPool,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    seconds: float,
    limit: int,
    server: str,
) -> tuple[Head, bytes]:
    """Return the head and the body of a GET's response.

    Args:
        runtime: Measures the time.
        pool: Gives it a connection.
        target: The path and the query of the URL.
        headers: The headers of the request.
        seconds: The most that either part of the response may take: a server may send a head at
            once and its body never.
        limit: The most bytes of the body.
        server: The name of the server, for errors.

    Raises:
        ClientError: There is no such response.
    """
    waiter = runtime.waiter()
    fetching = _Fetch(target, headers, waiter, limit)

    def late() -> None:
        fetching.fail(SilentError(f"{server} did not answer within {seconds:g} s"))

    timer: Cancellable = runtime.call_later(seconds, late)
    try:
        pool.take(fetching.begin, fetching.fail)
        if fetching.head is None:
            await fetching.step(waiter)
        timer.cancel()
        timer = runtime.call_later(seconds, late)
        while not fetching.is_whole:
            await fetching.step(runtime.waiter())
    finally:
        timer.cancel()
        fetching.fail(ClientError("the caller has left"))
    if fetching.head is None:
        raise BrokenProtocolError(f"{server} answered without a head")
    return fetching.head, bytes(fetching.content)
