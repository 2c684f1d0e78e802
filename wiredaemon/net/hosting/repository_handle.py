"""A hosted repository as one request sees it: what is asked of a worker, for whom."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from wiredaemon.net.cache.cached_repository import CachedRepository
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Followed, Peer, Permission, Repository, Value
    from wiredaemon.net.cache.cached_repository import Cached
    from wiredaemon.net.cache.keys import CachedAs
    from wiredaemon.net.hosting.recovery_gate import RecoveryGate
    from wiredaemon.net.workers.pool import WorkerPool
    from wiredaemon.net.workers.worker_stream import WorkerStream


class RepositoryHandle:
    """Runs commands of one request on a repository; implements `wiredaemon.commands.Repository`.

    Args:
        path: Of its working folder.
        pool: Runs them.
        recovery: Rolls back what a killed process has left, first of all.
        peer: Who asks.
        permission: What the command needs, and was granted.
        known: What of it is kept, if anything.
    """

    def __init__(  # noqa: PLR0913, PLR0917 its surroundings
        self,
        path: bytes,
        pool: WorkerPool,
        recovery: RecoveryGate,
        peer: Peer,
        permission: Permission,
        known: Cached | None = None,
    ) -> None:
        self._pool = pool
        self._known = known
        self._recovery = recovery
        self._context = CallContext(repository=path, user=peer.user, permission=permission)
        self._peer = peer

    def cached(self, cached_as: CachedAs, followed: Followed | None) -> Repository:
        """Give the same for a cacheable command.

        Args:
            cached_as: How the request is answered.
            followed: The redirects that its client follows.
        """
        if self._known is None:
            return self
        return CachedRepository(self, self._known, cached_as, followed)

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command in a worker."""
        recovered = self._recovery.first(self._context.permission)
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
        self, command: bytes, arguments: Mapping[bytes, Value], *, has_data: bool = False
    ) -> WorkerStream:
        """Run a stream command, perhaps with command data; who gets the stream must close it."""
        recovered = self._recovery.first(self._context.permission)
        if recovered is not None:
            await recovered
        return await self._pool.open(
            self._context, command, arguments, share=share_of(self._peer), has_data=has_data
        )


def share_of(peer: Peer) -> str | None:
    """Say who it is that may hold no more than a share of the workers.

    None for those on this machine: they are trusted, or a proxy for many.
    """
    if peer.user:
        return f"user {peer.user}"
    host = peer.address.rpartition(":")[0]
    try:
        is_local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        is_local = True  # the path of a Unix socket
    return None if is_local else host
