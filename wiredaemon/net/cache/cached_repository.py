"""A repository as a cacheable command sees it: what was answered before is answered again."""

from __future__ import annotations

import os
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.keys import is_settled, keys_of
from wiredaemon.net.cache.recording import IDENTITY
from wiredaemon.repository.stat_signatures import stat_files
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.values import Encoded, Recorded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Followed, Redirect, Value
    from wiredaemon.commands.capabilities import RedirectTarget
    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.keys import CachedAs, Keys
    from wiredaemon.net.cache.reading import FileReader
    from wiredaemon.net.cache.store import KeptResponse
    from wiredaemon.repository.stat_signatures import StatSignatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """What is known of a repository whose answers are kept."""

    cache: ResponseCache
    path: bytes
    """Of its working folder."""
    state: Sequence[bytes]
    """Files without whose change no read-only command answers differently.

    Without any, nothing is kept."""
    unsettled: Sequence[bytes]
    """Files while one of which exists nothing is recorded: a transaction runs, or was left."""
    may_redirect: bool
    """Everybody may read it, so that its answers may lie elsewhere."""

    @property
    def redirect_targets(self) -> Sequence[RedirectTarget]:
        """Where clients may be sent."""
        redirects = self.cache.redirects
        return () if redirects is None or not self.may_redirect else redirects.described


class WorkerCaller(Protocol):
    """Runs commands on the repository in a worker."""

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command."""

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded, None]:
        """Run a stream command; its objects stay encoded."""


class Asked(NamedTuple):
    """One request."""

    command: bytes
    arguments: Mapping[bytes, Value]
    state: StatSignatures
    """What the files were like before it was looked at."""
    keys: Keys


class CachedRepository:
    """Implements `wiredaemon.commands.Repository` for one request of a cacheable command.

    Args:
        handle: Asks a worker.
        cached: The repository.
        cached_as: How the request is answered.
        followed: The redirects that its client follows.
    """

    def __init__(
        self,
        handle: WorkerCaller,
        cached: Cached,
        cached_as: CachedAs,
        followed: Followed | None,
    ) -> None:
        self._handle = handle
        self._cached = cached
        self._cache = cached.cache
        self._as = cached_as
        self._followed = followed

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command; what it gives is not kept."""
        return self._handle.call(command, arguments)

    async def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        """Give where the answer is, or the answer as it was kept, or as a worker gives it."""
        async with aclosing(self._answer(command, arguments)) as parts:
            async for part in parts:
                yield part

    def _answer(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        cached = self._cached
        if not self._cache.is_on or not cached.state or command != self._as.command:
            return self._handle.stream(command, arguments)
        state = stat_files(cached.state)
        try:
            keys = keys_of(self._as, cached.path, arguments, state)
        except UnencodableError:
            return self._handle.stream(command, arguments)
        return self._answer_to(Asked(command, arguments, state, keys))

    async def _answer_to(self, asked: Asked) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        redirect = self._redirect(asked.keys)
        if redirect is not None:
            yield redirect
            return
        entry = self._cache.find(asked.keys)
        reader = None if entry is None else await self._cache.open(entry)
        parts: AsyncGenerator[Encoded | Recorded, None]
        if entry is not None and reader is not None:
            self._offer(asked.keys, entry)
            parts = self._kept(entry, reader)
        else:
            parts = self._recorded(asked)
        async with aclosing(parts):
            async for part in parts:
                yield part

    # --- what was answered before ------------------------------------------------------------

    def _redirect(self, keys: Keys) -> Redirect | None:
        redirects = self._cache.redirects
        if redirects is None or self._followed is None or not self._cached.may_redirect:
            return None
        return redirects.find(keys.content, self._followed)

    def _offer(self, keys: Keys, entry: KeptResponse) -> None:
        """Have a copy made where there should have been one."""
        redirects = self._cache.redirects
        if redirects is not None and self._followed is not None and self._cached.may_redirect:
            redirects.offer(keys.content, entry, self._as.profile, self._followed)

    async def _kept(
        self, entry: KeptResponse, reader: FileReader
    ) -> AsyncGenerator[Encoded | Recorded, None]:
        left = entry.size
        try:
            while left:
                piece = await self._read(entry, reader)
                left -= len(piece)
                if self._as.profile == IDENTITY:
                    yield Encoded([piece])
                else:
                    yield Recorded(self._as.profile, [piece])
        finally:
            reader.close()

    async def _read(self, entry: KeptResponse, reader: FileReader) -> bytes:
        reason = "its file has changed"
        try:
            piece = await self._cache.in_thread(reader.read)
        except OSError as error:
            piece, reason = b"", str(error)
        if not piece:
            self._cache.report_damage(entry, reason)
            raise ServerError("the answer broke off; asking again helps")
        return piece

    # --- what is answered now ----------------------------------------------------------------

    async def _recorded(self, asked: Asked) -> AsyncGenerator[Encoded, None]:
        cache, profile = self._cache, self._as.profile
        recording = None
        if is_settled(asked.state, cache.clock()) and not self._is_in_transaction():
            recording = cache.record(asked.keys, profile)
        stream = self._handle.stream(asked.command, asked.arguments)
        try:
            async with aclosing(stream):
                async for encoded in stream:
                    if recording is not None:
                        cache.write(recording, encoded.parts)
                    yield encoded
        except BaseException:
            if recording is not None:
                cache.drop(recording)
            raise
        if recording is None:
            return
        # What has changed meanwhile may have been answered as it was before, or after.
        if self._is_in_transaction() or stat_files(self._cached.state) != asked.state:
            cache.drop(recording)
        else:
            may_redirect = self._cached.may_redirect
            cache.keep(recording, asked.keys, profile, may_redirect=may_redirect)

    def _is_in_transaction(self) -> bool:
        return any(map(os.path.exists, self._cached.unsettled))
