"""Clones of a repository that a test answers for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from support.caching import TimedReactor
from twisted.internet.defer import Deferred

from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.cached_repository import CacheableRepository
from wiredaemon.net.cache.clones import Clone, Clones, RepositoryClones
from wiredaemon.net.guard.output_room import OutputRoom
from wiredaemon.repository.stat_signatures import WatchedFiles
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

PIECE: Final = bytes(range(256)) * 16


def head(status: int = 200, media_type: bytes = b"application/mercurial-0.2") -> bytes:
    """Return the head of an answer as a worker encodes it."""
    headers = [[b"Content-Type", media_type]]
    return cbor.encode(
        {b"status": status, b"reason": b"OK", b"headers": headers}, KeyOrder.BYTEWISE
    )


ANSWER: Final = (
    head(),
    cbor.encode(PIECE, KeyOrder.BYTEWISE),
    cbor.encode(b"end", KeyOrder.BYTEWISE),
)


class WorkerAnswer:
    """The answer of a worker, which the test gives part by part."""

    def __init__(self, *parts: bytes) -> None:
        self._parts: list[list[bytes]] = [[part] for part in parts]
        self._has_ended = bool(parts)
        self._error: Exception | None = None
        self._reading: Deferred[None] | None = None
        self.is_closed = False

    def say(self, *parts: bytes, end: bool = False) -> None:
        """Answer with one more part."""
        self._parts += [[part] for part in parts]
        self._has_ended = end
        self._wake()

    def cut(self) -> None:
        """Leave out the last part."""
        self._parts.pop()

    def hold(self) -> None:
        """Send no part until the test says one."""
        self._parts.clear()
        self._has_ended = False

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.callback(None)

    async def read(self) -> list[bytes]:
        """Return the next part."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                return []
            self._reading = Deferred()
            await self._reading
        return self._parts.pop(0)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def watch_input(self, producer: object) -> None:
        """Take no body."""

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Take no body."""


class Cloned:
    """A repository that is cloned."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.folder = folder
        self.reactor = TimedReactor()
        self.state = folder / "state"
        self.state.write_bytes(b"1")
        self.journal = folder / "journal"
        self.age = 3600 * 10**9
        """Nanoseconds since the last change."""
        self.answers: list[WorkerAnswer] = []
        self.next: WorkerAnswer | Exception | None = None
        """What a worker answers next; by default a whole answer."""
        self.cache = ResponseCache(
            folder / "cache",
            Limits(**limits),
            self.reactor,
            clock=lambda: self.state.stat().st_ctime_ns + self.age,
        )
        self.cache.start()
        self.clones = Clones(self.cache, self.reactor)

    @property
    def files(self) -> list[str]:
        """Names of the files that are kept or begun."""
        found = (file.name for file in (self.folder / "cache" / "responses").iterdir())
        return sorted(name for name in found if name != "lock")

    async def ask(self) -> Any:
        """Ask a worker."""
        answer, self.next = self.next, None
        if isinstance(answer, Exception):
            raise answer
        self.answers.append(answer or WorkerAnswer(*ANSWER))
        return self.answers[-1]

    def clone(self, query: bytes = b"cmd=getbundle", user: str | None = None) -> Clone | None:
        """Return how a request is answered."""
        files = WatchedFiles((), [str(self.state).encode()], self.reactor.seconds)
        repository = CacheableRepository(
            cache=self.cache,
            path=b"/repository",
            files=files,
            journals=[str(self.journal).encode()],
        )
        described = RepositoryClones(
            clones=self.clones, repository=repository, described=b"x", by_user=True
        )
        request = WebRequest(method=b"GET", query=query, server_name=b"here", server_port=80)
        return described.clone(request, b"", user)

    async def open(self, user: str | None = None) -> Any:
        """Return the stream of an answer."""
        clone = self.clone(user=user)
        assert clone is not None
        return await clone.open(self.ask, OutputRoom(Limits()))

    async def read(self, user: str | None = None) -> bytes:
        """Return a whole answer, once all that is to be kept is kept."""
        return await self.rest(await self.open(user))

    async def rest(self, stream: Any) -> bytes:
        """Return what an answer has from here on, and close it."""
        parts: list[bytes] = []
        try:
            while piece := await stream.read():
                parts += piece
        finally:
            stream.close()
        await self.settled()
        return b"".join(parts)

    async def settled(self) -> None:
        """Wait until no answer is being made."""
        for making in list(self.clones.makings.values()):
            await making.wait(60, self.reactor)
