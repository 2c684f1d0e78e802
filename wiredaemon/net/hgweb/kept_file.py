"""A response that is read from a kept file, as fast as its client takes it.

What it is may have to be asked for first; where nothing is kept for the request, it is answered as
any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.cache.reading import PieceSizes
from wiredaemon.net.hgweb.response_flow import ResponseFlow
from wiredaemon.net.http.response_writer import WITHOUT_BODY
from wiredaemon.net.http.responses import HttpResponse, unavailable
from wiredaemon.net.workers.calls import WorkersBusyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.cache.bundle_shelf import BundleShelf, KeptBundle
    from wiredaemon.net.http.request import StreamingRequest

_log: Final = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResponse:
    """A response whose body is a part of a bundle."""

    shelf: BundleShelf
    bundle: KeptBundle
    status: int
    reason: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """All but the length."""
    before: bytes = b""
    """Bytes of the body in front of those of the file."""
    start: int = 0
    size: int
    """Bytes of the file."""


class Exchange(Protocol):
    """Answers a request whose body has come."""

    @property
    def held(self) -> int:
        """The bytes of the body that it holds."""

    def start(self) -> None:
        """Begin."""

    def refuse(self, response: HttpResponse) -> None:
        """End the request with a fixed response."""


class KeptFileExchange:
    """Answers one request.

    Args:
        request: The request, of whose body nothing is wanted any more.
        find: Returns the response; None where the request is to be answered otherwise.
        otherwise: Makes the exchange that does so.
    """

    def __init__(
        self,
        request: StreamingRequest,
        find: Callable[[], Awaitable[FileResponse | HttpResponse | None]],
        otherwise: Callable[[], Exchange] | None = None,
    ) -> None:
        self._request = request
        self._find = find
        self._otherwise = otherwise
        self._other: Exchange | None = None
        self._has_ended = False
        self._flow = ResponseFlow(self._lost)
        self._running: Deferred[None] | None = None

    @property
    def held(self) -> int:
        """The bytes of the body that are held."""
        return 0 if self._other is None else self._other.held

    def refuse(self, response: HttpResponse) -> None:
        """End the request with a fixed response."""
        if self._other is not None:
            self._other.refuse(response)
            return
        self._request.answer(response)
        self._lost()

    def start(self) -> None:
        """Begin."""
        self._request.body.pause()
        self._request.notifyFinish().addErrback(lambda _: self._lost())
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._on_bug)

    def _lost(self) -> None:
        """Read no more: the client has gone."""
        self._has_ended = True
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> None:
        try:
            found = await self._find()
            if found is None and self._otherwise is not None:
                if not self._has_ended:
                    self._other = self._otherwise()
                    self._other.start()
            elif isinstance(found, HttpResponse):
                self._request.answer(found)
            elif found is not None:
                await self._send(found)
        except CancelledError:
            return
        except (CommandError, ServerError) as error:
            self._fail(error)

    async def _send(self, found: FileResponse) -> None:
        reader = await found.shelf.open(found.bundle, found.start)
        if reader is None:
            raise ServerError("what was kept is gone; asking again helps")
        try:
            length = len(found.before) + found.size
            headers = [*found.headers, (b"Content-Length", b"%d" % length)]
            response = self._request.response
            response.begin_stream(found.status, found.reason, headers, self._flow)
            has_body = self._request.method != b"HEAD" and found.status not in WITHOUT_BODY
            left = found.size if has_body else 0
            response.write_body(found.before)
            sizes = PieceSizes(self._request.site.guard.memory.room)
            while left:
                most = min(left, sizes.next())
                piece = await found.shelf.cache.read(reader, most)
                if not piece:
                    raise ServerError("what was kept is shorter than it was")
                left -= len(piece)
                response.write_body(piece)
                del piece  # else it would be held until the next one has come
                await self._flow.drain()
        except OSError as error:
            raise ServerError("what was kept cannot be read") from error
        finally:
            reader.close()
        if not self._has_ended:
            self._has_ended = True
            self._request.end_stream()

    def _fail(self, error: CommandError | ServerError) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        _log.error(
            "a request of {peer} failed: {error}",
            peer=self._request.peer().address,
            error=str(error),
        )
        if self._request.response.is_begun:
            self._request.response.break_off()
        else:
            retry = error.retry_after if isinstance(error, WorkersBusyError) else None
            self._request.answer(unavailable(str(error).encode("utf-8", "replace"), retry))

    def _on_bug(self, failure: Failure) -> None:
        _log.failure("a kept file could not be sent", failure)
        if not self._has_ended:
            self._has_ended = True
            self._request.response.break_off()
