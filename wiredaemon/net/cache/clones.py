"""Whole repositories over version 1: an answer that was kept goes before a worker's.

The bytes that a worker has sent are kept as they are, its head and its compression included.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.logger import Logger

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.cached_repository import ObjectStream
from wiredaemon.net.cache.clone_requests import clone_request
from wiredaemon.net.cache.keys import is_settled
from wiredaemon.net.cache.making import Making
from wiredaemon.net.cache.reading import PieceSizes
from wiredaemon.net.cache.recording import IDENTITY
from wiredaemon.net.cache.small_items import SmallItems
from wiredaemon.wire.cbor_heads import CborError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.net.cache.bundles import RepositoryBundles
    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.cached_repository import CacheableRepository
    from wiredaemon.net.cache.keys import Keys
    from wiredaemon.net.cache.reading import FileReader
    from wiredaemon.net.cache.store import KeptResponse
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.repository.stat_signatures import StatSignatures
    from wiredaemon.repository.web_calls import WebRequest

_log: Final = Logger()

# A client waits for some 60 s without a byte where a proxy is between.
WAIT_SECONDS: Final = 30.0
"""Time for which a request waits for the answer to an earlier one, before it asks a worker."""


class WebStream(ObjectStream, Protocol):
    """The answer to a request of version 1, which may have a body."""

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume the producer of the body."""

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Send the next part of the body."""


class Clones:
    """The makings of all repositories.

    Args:
        cache: Keeps the answers.
        reactor: The reactor, for its clock.
    """

    def __init__(self, cache: ResponseCache, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self.cache = cache
        self.reactor = reactor
        self.makings: dict[str, Making] = {}
        """Those under way, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryClones:
    """The facts about a repository that keeping its clones needs."""

    clones: Clones
    repository: CacheableRepository
    described: bytes
    """``clones`` of its description."""
    by_user: bool
    """Two users may be answered differently."""
    bundles: RepositoryBundles | None = None
    """The repository's bundles; None where none are made."""

    def clone(
        self, request: WebRequest, body: bytes | bytearray | memoryview, user: str | None
    ) -> Clone | None:
        """Return how a request is answered that asks for a whole repository; None for others."""
        repository = self.repository
        if not repository.cache.is_on or not repository.files.knows_state:
            return None
        named = (user or "").encode("utf-8", "surrogateescape") if self.by_user else b""
        asked = clone_request(request, body, named)
        if asked is None:
            return None
        if self.bundles is not None:
            self.bundles.cloned()
        # Before a worker is asked: what changes meanwhile makes the state another one.
        state = repository.files.stat_state()
        keys = asked.keys(repository.path, self.described, state)
        return Clone(self.clones, repository, keys, state, self.bundles)


class Clone:
    """One request for a whole repository."""

    def __init__(
        self,
        clones: Clones,
        repository: CacheableRepository,
        keys: Keys,
        state: StatSignatures,
        bundles: RepositoryBundles | None = None,
    ) -> None:
        self._bundles = bundles
        self._clones = clones
        self._cache = clones.cache
        self._repository = repository
        self._keys = keys
        self._state = state

    async def open(self, ask: Callable[[], Awaitable[WebStream]], room: OutputRoom) -> WebStream:
        """Return the answer that was kept, or that of a worker; the caller must close it.

        Args:
            ask: Asks a worker.
            room: How much output connections may have.

        Raises:
            Exception: As ``ask`` raises it.
        """
        kept = await self._find(room)
        if kept is None:
            making = self._clones.makings.get(self._keys.entry)
            if making is not None:
                await making.wait(WAIT_SECONDS, self._clones.reactor)
                kept = await self._find(room)
        if kept is not None:
            return kept
        return self._make(ask) or await ask()

    async def _find(self, room: OutputRoom) -> KeptClone | None:
        entry = self._cache.find(self._keys)
        if entry is None:
            return None
        reader = await self._cache.open(entry)
        if reader is None:
            return None
        _log.info(
            "a clone of {path} is sent as it was kept: {size} bytes",
            path=os.fsdecode(self._repository.path),
            size=entry.size,
        )
        self._note()
        return KeptClone(self._cache, entry, reader, room)

    def _note(self) -> None:
        if self._bundles is not None:
            self._bundles.answered(self._state)

    def _make(self, ask: Callable[[], Awaitable[WebStream]]) -> Making | None:
        """Begin to record an answer; None where that cannot be."""
        is_certain = (
            self._cache.may_record(self._keys)
            and is_settled(self._state, self._cache.clock())
            and not self._repository.is_in_transaction()
        )
        recording = self._cache.record(self._keys, IDENTITY) if is_certain else None
        if recording is None:
            return None
        try:
            making = Making(self._cache, self._keys, recording, ask, self._is_valid)
        except OSError:
            self._cache.drop(recording)
            return None
        makings, key = self._clones.makings, self._keys.entry
        makings[key] = making
        making.start(lambda: self._end(makings, key))
        return making

    def _end(self, makings: dict[str, Making], key: str) -> None:
        del makings[key]
        entry = self._cache.peek(self._keys)
        if entry is not None:
            self._note()
            _log.info(
                "a clone of {path} is kept: {size} bytes",
                path=os.fsdecode(self._repository.path),
                size=entry.size,
            )

    def _is_valid(self) -> bool:
        repository = self._repository
        is_same = repository.files.stat_state_anew() == self._state
        return is_same and not repository.is_in_transaction()


class KeptClone:
    """An answer that is read from its file, as fast as the client takes it."""

    def __init__(
        self, cache: ResponseCache, entry: KeptResponse, reader: FileReader, room: OutputRoom
    ) -> None:
        self._cache = cache
        self._pieces = PieceSizes(room)
        self._items = SmallItems()
        self._entry = entry
        self._reader = reader
        self._left = entry.size

    async def read(self) -> list[bytes]:
        """Return the next items; an empty list at the end.

        Raises:
            ServerError: The file is damaged.
        """
        items: list[bytes] = []
        while self._left and not items:
            size = self._pieces.next()
            reason = "its file has changed"
            try:
                piece = await self._cache.read(self._reader, size)
                items = self._items.cut(piece)
            except (OSError, CborError) as error:
                piece, reason = b"", str(error)
            if not piece:
                self._cache.report_damage(self._entry, reason)
                raise ServerError("the answer broke off; asking again helps")
            self._left -= len(piece)
        return items

    def close(self) -> None:
        """Read no more."""
        self._reader.close()

    def watch_input(self, producer: object) -> None:
        """Do nothing: no data are wanted."""

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Drop the bytes of a body after its arguments."""
