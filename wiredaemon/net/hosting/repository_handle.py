"""A hosted repository as one peer's commands use it: workers are asked in the peer's name."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from wiredaemon.net.cache.cached_repository import CachedRepository
from wiredaemon.net.peer import host_of, is_local
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Followed, Peer, Repository, Value
    from wiredaemon.net.cache.cached_repository import CacheableRepository
    from wiredaemon.net.cache.clones import Clone, RepositoryClones
    from wiredaemon.net.cache.keys import CachedAs
    from wiredaemon.net.hosting.recovery_gate import RecoveryGate
    from wiredaemon.net.workers.pool import WorkerPool
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.repository.worker_calls import CallContext


class RepositoryHandle:
    """Runs one peer's commands on a repository; implements `wiredaemon.commands.Repository`.

    It keeps nothing of a single request but its stream: one handle serves all requests of a
    connection that need the same permission, while the repository's settings are the same.

    Args:
        context: The repository, the user and the permission that was granted.
        pool: Runs the commands.
        gate: Holds commands back while an abandoned transaction is rolled back.
        share: The share of the workers that streams of this peer count against, as `share_of` says.
        cacheable: The facts that keeping answers needs; None if no answers are kept.
        clones: The facts that keeping clones of version 1 needs; None if none are kept.
    """

    _streams: WeakSet[WorkerStream] | None = None
    """The streams that were opened, of which closed ones hold nothing; None where none was."""

    def __init__(  # noqa: PLR0913 what commands need
        self,
        context: CallContext,
        pool: WorkerPool,
        gate: RecoveryGate,
        share: str | None,
        cacheable: CacheableRepository | None = None,
        *,
        clones: RepositoryClones | None = None,
    ) -> None:
        self._context = context
        self._pool = pool
        self._gate = gate
        self._share = share
        self._cacheable = cacheable
        self._clones = clones

    def cached(self, cached_as: CachedAs, followed: Followed | None) -> Repository:
        """Return the repository for one request of a cacheable command.

        Args:
            cached_as: The form of the response.
            followed: The redirects that the client follows.
        """
        if self._cacheable is None:
            return self
        return CachedRepository(self, self._cacheable, cached_as, followed)

    def clone(
        self, request: WebRequest, body: bytes | bytearray | memoryview = b""
    ) -> Clone | None:
        """Return how a request of version 1 is answered whose answer may be kept; None for others.

        Args:
            request: The head of the request.
            body: Its body, which holds arguments if anything.
        """
        if self._clones is None:
            return None
        return self._clones.clone(request, body, self._context.user)

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command in a worker."""
        recovered = self._gate.wait(self._context.permission)
        if recovered is None:
            return self._pool.call(self._context, command, arguments)
        return recovered.addCallback(lambda _: self._pool.call(self._context, command, arguments))

    async def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded, None]:
        """Run a stream command in a worker; its objects stay encoded."""
        stream = await self.open(command, arguments)
        try:
            while parts := await stream.read():
                yield Encoded(parts)
        finally:
            stream.close()

    async def open(
        self,
        command: bytes,
        arguments: Mapping[bytes, Value],
        *,
        has_data: bool = False,
        is_short: bool = False,
    ) -> WorkerStream:
        """Run a stream command as `WorkerPool.open` does; the caller must close the stream."""
        recovered = self._gate.wait(self._context.permission)
        if recovered is not None:
            await recovered
        stream = await self._pool.open(
            *(self._context, command, arguments),
            share=self._share,
            has_data=has_data,
            is_short=is_short,
        )
        if self._streams is None:
            self._streams = WeakSet()
        self._streams.add(stream)
        return stream

    @property
    def held(self) -> int:
        """The bytes of answers that streams hold in memory, for readers who are slower."""
        return sum(stream.held for stream in self._streams or ())


def share_of(peer: Peer) -> str | None:
    """Return the name of the share of workers that a peer's streams count against.

    It is None for peers on this machine without a user: they are trusted, or a proxy for many.
    """
    if peer.user:
        return f"user {peer.user}"
    return None if is_local(peer.address) else host_of(peer)
