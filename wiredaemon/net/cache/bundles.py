"""The bundles of one repository: which of them clients may be told of, and be sent, now.

A bundle is good as long as all that it holds is served. Only a worker can say so: it is asked once
for each state of the repository's files, when a client asks for a bundle or for what there is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from wiredaemon.net.cache.keys import is_settled
from wiredaemon.repository.clone_bundles import (
    ATTEMPT_COUNTS,
    BUNDLE_STATES,
    STREAM_MARK,
    BundleStates,
    StreamsFirst,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.defer import Deferred

    from wiredaemon.net.cache.bundle_maker import BundleMaker
    from wiredaemon.net.cache.bundle_shelf import KeptBundle
    from wiredaemon.net.cache.cached_repository import ObjectStream
    from wiredaemon.net.cache.targets import Target
    from wiredaemon.repository.stat_signatures import StatSignatures, WatchedFiles
    from wiredaemon.wire.values import Value

_log: Final = Logger()

# What a client pulls after a bundle costs the same part of a clone, or less.
_ENOUGH: Final = 50
"""One more changeset for so many is enough change for another bundle."""

_DAY: Final = 86_400
_ACTIVE: Final = 14 * _DAY
"""Seconds since the last changeset for which a repository counts as one that changes: for others
the answers themselves are kept."""


def _is_stream(bundle: KeptBundle) -> bool:
    return STREAM_MARK in bundle.facts.spec


class BundleWorker(Protocol):
    """Runs commands on the repository in a worker, for no peer."""

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command."""

    async def open(self, command: bytes, arguments: Mapping[bytes, Value]) -> ObjectStream:
        """Run a stream command; the caller must close the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The bundles that a client may be told of."""

    bundles: Sequence[KeptBundle]
    """One of each kind, the preferred one first; none if one kind is missing."""
    states: BundleStates


class RepositoryBundles:
    """The bundles of one repository, as it is described now.

    Args:
        maker: Makes the bundles of all repositories.
        worker: Runs commands on the repository.
        path: Path of its working folder.
        files: The files that decide about answers.
        described: ``clones`` of its description.
        specs: ``bundles`` of its description.
        streams_first: The clients for which a copy of the store goes first.
        changesets: The file whose modification is the last change.
        is_public: Everybody may pull from it, so that copies may be where everybody finds them.
    """

    def __init__(  # noqa: PLR0913 what a description says, and what is done with it
        self,
        *,
        maker: BundleMaker,
        worker: BundleWorker,
        path: bytes,
        files: WatchedFiles,
        described: bytes,
        specs: Sequence[bytes],
        streams_first: StreamsFirst,
        changesets: bytes,
        is_public: bool,
    ) -> None:
        self.worker = worker
        self.path = path
        self.described = described
        self.specs = specs
        self._streams_first = streams_first
        self.shelf = maker.shelf
        self._maker = maker
        self._files = files
        self._changesets = changesets
        self._is_public = is_public
        self._lock = DeferredLock()
        self._known: tuple[StatSignatures, Sequence[KeptBundle], BundleStates] | None = None
        """The files' state, the bundles that were good with it, and what else was said."""
        self._answered: StatSignatures | None = None
        """The files' state in which an answer with all of the repository was kept."""

    @property
    def has_any(self) -> bool:
        """There may be some that a client can be told of."""
        return bool(self._chosen(self.shelf.of(self.path)))

    def _chosen(self, good: Sequence[KeptBundle]) -> Sequence[KeptBundle]:
        """Return the newest of each kind; none if one that can be made is missing."""
        newest: dict[bytes, KeptBundle] = {}
        for each in good:
            if each.facts.described == self.described:
                newest.setdefault(each.facts.spec, each)
        # A client that asks for a kind that is not there warns its user. What could not be made
        # now may be there all the same.
        is_whole = all(spec in newest for spec in self.specs)
        kinds = [*self.specs, *(spec for spec in newest if spec not in self.specs)]
        return [newest[spec] for spec in kinds] if is_whole else []

    async def offer(self, *, is_near: bool = False) -> Offer | None:
        """Return what a client may be told of, and tell it; None where there are no bundles.

        Args:
            is_near: Bytes to the client are cheap.

        Raises:
            CommandError, ServerError: A worker could not say what is good.
        """
        if not self.shelf.of(self.path):
            return None
        good, states = await self._good()
        chosen = self._chosen(good)
        is_stream_first = self._is_stream_first(chosen, is_near=is_near)
        if is_stream_first:
            chosen = sorted(chosen, key=lambda each: not _is_stream(each))
        # Where clones without a bundle are refused, nobody is sent what was kept.
        are_needed = is_stream_first or self.described.endswith(ATTEMPT_COUNTS)
        if self._answered == self._files.stat_state() and not are_needed:
            # It costs nothing, where what is pulled after a bundle takes a worker.
            return Offer(bundles=[], states=states)
        for each in chosen:
            self.shelf.tell(each)
            self.made(each)
        self._maker.asked()
        missing = states.changesets - chosen[0].facts.changesets if chosen else states.changesets
        if missing * _ENOUGH >= states.changesets:
            self.want()
        return Offer(bundles=chosen, states=states)

    def _is_stream_first(self, chosen: Sequence[KeptBundle], *, is_near: bool) -> bool:
        streams = [each for each in chosen if _is_stream(each)]
        if not streams or self._streams_first is not StreamsFirst.NEAR:
            return bool(streams) and self._streams_first is StreamsFirst.YES
        # What a client fetches from elsewhere is not near, wherever it is itself.
        return is_near and not any(self.copies(each) for each in streams)

    async def find(self, name: str) -> KeptBundle | None:
        """Return a bundle that may be sent, by its name; None if there is none.

        Raises:
            CommandError, ServerError: A worker could not say whether it is good.
        """
        if all(each.name != name for each in self.shelf.of(self.path)):
            return None
        good, _ = await self._good()
        return next((each for each in good if each.name == name), None)

    async def _good(self) -> tuple[Sequence[KeptBundle], BundleStates]:
        """Return the bundles that are good now; others are removed."""
        await self._lock.acquire()
        try:
            state = self._files.stat_state_anew()
            bundles = self.shelf.of(self.path)
            if self._known is not None:
                before, good, states = self._known
                if before == state and list(good) == list(bundles):
                    return good, states
            asked: list[Value] = [each.facts.encode() for each in bundles]
            # For each request that may not come too late: a change from here on is another state.
            states = BundleStates.parse(await self.worker.call(BUNDLE_STATES, {b"bundles": asked}))
        finally:
            self._lock.release()
        good = [each for each, is_good in zip(bundles, states.good, strict=True) if is_good]
        for each in bundles:
            if each not in good:
                self._drop(each)
        is_certain = is_settled(state, self.shelf.cache.clock())
        self._known = (state, good, states) if is_certain else None
        return good, states

    def _drop(self, bundle: KeptBundle) -> None:
        self.shelf.discard(bundle)
        _log.info(
            "a bundle of {path} is removed: not all of it is served any more",
            path=os.fsdecode(self.path),
        )

    def want(self) -> None:
        """Have a bundle made when there is time, if the repository is one that changes."""
        try:
            changed = os.stat(self._changesets).st_mtime  # noqa: PTH116 as for signatures
        except OSError:
            return
        if self.specs and self.shelf.clock() - changed < _ACTIVE:
            self._maker.want(self)

    def made(self, bundle: KeptBundle) -> None:
        """Have a bundle copied to the redirect targets, if everybody may have it."""
        if self._is_public:
            self.shelf.upload(bundle)

    def copies(self, bundle: KeptBundle) -> Sequence[Target]:
        """Return the targets where clients find a copy of a bundle."""
        return self.shelf.copies(bundle) if self._is_public else ()

    def answered(self, state: StatSignatures) -> None:
        """Note that an answer with all of the repository, in some state of its files, is kept."""
        self._answered = state

    def cloned(self) -> None:
        """Note that somebody asks for all of the repository, without a bundle."""
        self._maker.asked()
        if not self.has_any:
            self.want()
