"""Makes bundles, one after the other, when no client needs a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.cache.bundle_shelf import write_facts
from wiredaemon.repository.clone_bundles import CLONE_BUNDLE, BundleFacts
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wiredaemon.net.cache.bundle_shelf import BundleShelf, KeptBundle
    from wiredaemon.net.cache.bundles import RepositoryBundles
    from wiredaemon.net.cache.cached_repository import ObjectStream
    from wiredaemon.net.cache.recording import Recording

_log: Final = Logger()

# A bundle costs what a clone costs.
INTERVAL_SECONDS: Final = 3600.0
"""Time from the making of a repository's bundles to the next."""
QUIET_SECONDS: Final = 10.0
"""Time since anybody asked for a clone; those who did may go on."""
PATIENCE_SECONDS: Final = 60.0
"""Time after which it is enough that no call waits for a worker, and most of them are free."""
_LOOK_SECONDS: Final = 1.0
_MOST: Final = 1000
"""Repositories that wait, and those that are remembered."""
_ITEMS: Final = Limits()


class IsQuiet(Protocol):
    """Tells whether a worker is free that nobody else needs."""

    def __call__(self, *, beside_others: bool) -> bool:
        """Return it; ``beside_others`` lets some be busy."""


class BundleMaker:
    """Makes the bundles of all repositories.

    Args:
        shelf: Keeps them.
        reactor: The reactor, for its clock.
        is_quiet: Tells whether no worker is busy with anything long, or not too many are.
    """

    def __init__(self, shelf: BundleShelf, reactor: Any, is_quiet: IsQuiet) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self.shelf = shelf
        self._reactor = reactor
        self._is_quiet = is_quiet
        self._waiting: dict[bytes, tuple[RepositoryBundles, float]] = {}
        """By path; each with the time since when it waits."""
        self._tried: dict[tuple[bytes, bytes], float] = {}
        """The time at which bundles of each path, as it was described then, were begun last."""
        self._asked_at = float("-inf")
        self._look: Any = None
        self._making: Deferred[None] | None = None

    @property
    def is_making(self) -> bool:
        """One is being made now."""
        return self._making is not None

    def asked(self) -> None:
        """Note that somebody has asked for a clone."""
        self._asked_at = self._reactor.seconds()

    def want(self, repository: RepositoryBundles) -> None:
        """Make bundles of a repository when there is time, unless that was done not long ago."""
        path = repository.path
        if not self.shelf.cache.is_on or not self._is_due(repository):
            return
        _, since = self._waiting.get(path, (None, self._reactor.seconds()))
        if path in self._waiting or len(self._waiting) < _MOST:
            self._waiting[path] = (repository, since)
        self._look_later()

    def _is_due(self, repository: RepositoryBundles) -> bool:
        # Other settings make other bundles, and nobody is told of those before.
        path, described = repository.path, repository.described
        tried = self._tried.get((path, described))
        if tried is not None and self._reactor.seconds() - tried < INTERVAL_SECONDS:
            return False
        kept = [each.facts for each in self.shelf.of(path)]
        made = max((facts.made for facts in kept if facts.described == described), default=0)
        # A clock that was set back must not forbid it for years.
        return not 0 <= self.shelf.clock() - made < INTERVAL_SECONDS

    def stop(self) -> None:
        """Make no more."""
        self._waiting.clear()
        look, self._look = self._look, None
        if look is not None:
            look.cancel()
        if self._making is not None:
            self._making.cancel()

    # --- when --------------------------------------------------------------------------------

    def _look_later(self, seconds: float = _LOOK_SECONDS) -> None:
        if self._look is None and self._making is None and self._waiting:
            self._look = self._reactor.callLater(seconds, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        path, (repository, since) = next(iter(self._waiting.items()))
        now = self._reactor.seconds()
        # A slow reader may hold a worker for hours, and clones may never end.
        is_late = now - since >= PATIENCE_SECONDS
        is_quiet = is_late or now - self._asked_at >= QUIET_SECONDS
        if is_quiet and self._is_quiet(beside_others=is_late):
            del self._waiting[path]
            self._begin(repository)
        self._look_later()

    def _begin(self, repository: RepositoryBundles) -> None:
        key = repository.path, repository.described
        self._tried.pop(key, None)
        self._tried[key] = self._reactor.seconds()
        if len(self._tried) > _MOST:
            del self._tried[next(iter(self._tried))]
        self._making = Deferred.fromCoroutine(self._make(repository))

        def end(_: object) -> None:
            self._making = None
            self._look_later(0)

        self._making.addErrback(lambda failure: _log.failure("a bundle could not be made", failure))
        self._making.addCallback(end)

    # --- how ---------------------------------------------------------------------------------

    async def _make(self, repository: RepositoryBundles) -> None:
        self.shelf.tidy()
        for spec in repository.specs:
            try:
                bundle = await self._make_one(repository, spec)
            except CancelledError:
                return
            except (CommandError, ServerError) as error:
                _log.error(
                    "a bundle of {path} could not be made: {reason}",
                    path=os.fsdecode(repository.path),
                    reason=str(error),
                )
                return
            if bundle is None:
                return
            _log.info(
                "a bundle of {path} is kept: {spec}, {size} bytes, {count} changesets",
                path=os.fsdecode(repository.path),
                spec=spec.decode("ascii", "replace"),
                size=bundle.size,
                count=bundle.facts.changesets,
            )
            repository.made(bundle)

    async def _make_one(self, repository: RepositoryBundles, spec: bytes) -> KeptBundle | None:
        begun = self.shelf.begin()
        if begun is None:
            return None
        keys, recording = begun
        try:
            is_good = await self._record(repository, spec, recording)
            if not is_good or not recording.is_going_on:
                return None
            if not self.shelf.has_room(recording.size):
                _log.info(
                    "a bundle of {path} is not kept: there is no room for its {size} bytes beside"
                    " those that clients were told of (cache_clones)",
                    path=os.fsdecode(repository.path),
                    size=recording.size,
                )
                return None
            return await self.shelf.keep(keys, recording)
        finally:
            # Nothing of one that is kept.
            self.shelf.cache.drop(recording)

    async def _record(
        self, repository: RepositoryBundles, spec: bytes, recording: Recording
    ) -> bool:
        """Write a bundle into a file; return whether it is whole and good."""
        is_good = False
        stream = await repository.worker.open(CLONE_BUNDLE, {b"spec": spec})
        try:
            async for value in _values(stream):
                match value:
                    case dict():
                        known = {
                            b"repository": repository.path,
                            b"spec": spec,
                            b"described": repository.described,
                            b"made": int(self.shelf.clock()),
                        }
                        facts = BundleFacts.parse({**value, **known})
                        self.shelf.cache.write(recording, [write_facts(facts)])
                    case bytes():
                        self.shelf.cache.write(recording, [value])
                    case bool():
                        is_good = value
        finally:
            stream.close()
        return is_good


async def _values(stream: ObjectStream) -> AsyncGenerator[object, None]:
    items = ItemReader(DIALECTS["0006"].cbor, _ITEMS)
    while parts := await stream.read():
        for part in parts:
            for value in items.receive_data(part):
                yield value
