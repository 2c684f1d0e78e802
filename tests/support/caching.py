"""A cache over a repository that a test answers for, and a server that takes copies."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.web.resource import Resource
from twisted.web.server import Site

from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.cached_repository import CacheableRepository, CachedRepository
from wiredaemon.net.cache.keys import CachedAs
from wiredaemon.repository.stat_signatures import WatchedFiles
from wiredaemon.wire.encodings import DECODERS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import Encoded, Recorded, Redirect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from twisted.web.server import Request

    from wiredaemon.commands import Followed, Value
    from wiredaemon.net.cache.redirects import Redirects

OK: Final = b"\xa1FstatusBok"
COMMAND: Final = b"filesdata"
MEDIA_TYPE: Final = b"application/mercurial-exp-framing-0006"


class TimedReactor:
    """The real reactor's threads and connections, with a clock that stands still."""

    def __init__(self) -> None:
        from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

        self._real: Any = reactor
        self.now = 1000.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def seconds(self) -> float:
        """The time, as the test has set it."""
        return self.now


class FakeHandle:
    """Answers stream commands as a worker would."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, dict[bytes, Value]]] = []
        self.parts: list[list[bytes]] = [[b"one", b"two"], [b"three"]]
        self.error: Exception | None = None
        """Raised behind the first parts."""
        self.gate: Deferred[None] | None = None
        """Waited for behind the first parts."""
        self.closed = 0

    @property
    def content(self) -> bytes:
        """All parts."""
        return b"".join(part for parts in self.parts for part in parts)

    async def open(self, command: bytes, arguments: Mapping[bytes, Value]) -> FakeStream:
        """Return the stream of an answer."""
        self.asked.append((command, dict(arguments)))
        return FakeStream(self)

    async def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded, None]:
        """Yield the parts."""
        stream = await self.open(command, arguments)
        try:
            while parts := await stream.read():
                yield Encoded(parts)
        finally:
            stream.close()


class FakeStream:
    """One answer of a handle."""

    def __init__(self, handle: FakeHandle) -> None:
        self._handle = handle
        self._number = 0

    async def read(self) -> list[bytes]:
        """Return the next parts; none at the end."""
        handle, number = self._handle, self._number
        self._number += 1
        if number >= len(handle.parts):
            return []
        if number == 1 and handle.gate is not None:
            await handle.gate
        if number == 1 and handle.error is not None:
            raise handle.error
        return handle.parts[number]

    def close(self) -> None:
        """Count it."""
        self._handle.closed += 1


class Kept:
    """A cache and one repository."""

    def __init__(self, folder: Path, redirects: Redirects | None = None, **limits: int) -> None:
        self.folder = folder
        self.reactor = TimedReactor()
        self.handle = FakeHandle()
        self.state = folder / "state"
        self.state.write_bytes(b"1")
        self.clock_is_ahead = 3600 * 10**9
        """Nanoseconds that have gone by since whatever was changed last."""
        self.sign = folder / "journal"
        self.cache = ResponseCache(
            folder / "cache",
            Limits(**limits),
            self.reactor,
            redirects,
            lambda: self.state.stat().st_ctime_ns + self.clock_is_ahead,
        )
        self.cache.start()

    @property
    def files(self) -> list[str]:
        """Names of files in the folder of responses."""
        found = (file.name for file in (self.folder / "cache" / "responses").iterdir())
        return sorted(name for name in found if name != "lock")

    def change(self) -> None:
        """Let the repository change."""
        self.state.write_bytes(self.state.read_bytes() + b"1")

    def stream(
        self,
        encoding: bytes | None = b"zlib",
        *,
        arguments: Mapping[bytes, Value] | None = None,
        followed: Followed | None = None,
        command: bytes = COMMAND,
        may_redirect: bool = True,
    ) -> AsyncGenerator[Any, None]:
        """Return what one request is answered."""
        cached = CacheableRepository(
            cache=self.cache,
            path=b"/repository",
            files=WatchedFiles((), [str(self.state).encode()], self.reactor.seconds),
            journals=[str(self.sign).encode()],
            may_redirect=may_redirect,
        )
        handle: Any = self.handle
        asked = CachedRepository(handle, cached, CachedAs(COMMAND, MEDIA_TYPE, encoding), followed)
        return asked.stream(command, {b"nodes": [b"n"]} if arguments is None else arguments)

    async def ask(self, encoding: bytes | None = b"zlib", **more: Any) -> Any:
        """Return the content of an answer, or the redirect, once what is kept of it is kept."""
        parts = []
        async with aclosing(self.stream(encoding, **more)) as stream:
            async for part in stream:
                if isinstance(part, Redirect):
                    return part
                parts.append(part)
        await self.settled()
        return content_of(parts)

    async def settled(self) -> None:
        """Wait until nothing is being encoded."""
        await DeferredList(list(self.cache._working))

    async def stop(self) -> None:
        """End the cache."""
        await self.cache.stop()


def content_of(parts: Sequence[Encoded | Recorded]) -> bytes:
    """Return the objects in a whole answer."""
    data = b"".join(piece for part in parts for piece in part.parts)
    profiles = {part.encoding for part in parts if isinstance(part, Recorded)}
    if not profiles:
        return data
    (profile,) = profiles
    assert all(isinstance(part, Recorded) for part in parts)
    content = decoded(profile, data)
    assert content.startswith(OK)
    return content[len(OK) :]


def decoded(profile: bytes, data: bytes) -> bytes:
    """Decode what one fresh encoder has given."""
    decoder = DECODERS[profile]()
    decoder.feed(data)
    content = b""
    while decoder.pending:
        content += decoder.read()
    return content


class ObjectServer(Resource):
    """Takes objects by PUT, and gives them."""

    isLeaf = True  # noqa: N815 of Twisted

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.objects: dict[bytes, bytes] = {}
        self.requests: list[tuple[bytes, bytes]] = []
        """Method and path."""
        self.headers: dict[bytes, bytes | None] = {}
        """The headers of the last PUT."""
        self.status = 201
        """The status that a PUT is answered with."""
        self.loses = False
        """Whether objects are lost after they were put."""
        self.port = 0

    @property
    def url(self) -> str:
        """The URL below which its objects are."""
        return f"http://127.0.0.1:{self.port}/objects/"

    def render_PUT(self, request: Request) -> bytes:
        """Accept an object."""
        self.requests.append((b"PUT", request.path))
        names = (b"Content-Type", b"Authorization", b"Content-Length")
        self.headers = {name: request.getHeader(name) for name in names}
        if self.status == 201 and not self.loses and request.content is not None:
            self.objects[request.path] = request.content.read()
        request.setResponseCode(self.status)
        return b""

    def render_GET(self, request: Request) -> bytes:
        """Return an object."""
        self.requests.append((request.method, request.path))
        if request.path not in self.objects:
            request.setResponseCode(404)
            return b""
        return self.objects[request.path]

    render_HEAD = render_GET  # noqa: N815 of Twisted


@asynccontextmanager
async def object_server() -> AsyncIterator[ObjectServer]:
    """Run one on loopback."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    server = ObjectServer()
    port = anywhere.listenTCP(0, Site(server), interface="127.0.0.1")
    server.port = port.getHost().port
    try:
        yield server
    finally:
        await port.stopListening()
