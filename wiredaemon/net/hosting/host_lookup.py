"""Finds the host of a path, for HTTP and raw connections alike.

Owns the single entries, the collections and the repositories of collections that were asked for
last. ``collection`` walks the folders of a collection.

A path belongs to the longest name of a repository in front of it; of equal ones, a single entry's
goes before a collection's. Below a collection's prefix no shorter repository is looked for: a
repository that was removed is missing there, and not a page of the one at ``/``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore, maybeDeferred
from twisted.logger import Logger

from wiredaemon.commands import ServerError
from wiredaemon.net.hosting.access import UNAVAILABLE
from wiredaemon.net.hosting.collection import Budget, changed_at, names_of
from wiredaemon.net.hosting.host import HostedRepository
from wiredaemon.net.hosting.moved import STILL_THERE, MovedPaths
from wiredaemon.net.hosting.shared_answer import SharedAnswer
from wiredaemon.repository.recently_used import RecentlyUsed
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from wiredaemon.net.hosting.collection import Collection, Names
    from wiredaemon.net.hosting.host import Host, Settings

# Half of the least number of workers.
_DESCRIBED_AT_ONCE = 4
"""Repositories that lists have described at once; workers are for other requests too."""


class FoundHost(NamedTuple):
    """The host that a path belongs to."""

    host: Host
    consumed: int
    """Components of the path that name it."""
    is_fixed: bool
    """No collection decides about the path, so that it always has this host."""
    moved_to: Names | None = None
    """The components that name it now, where the path is one that has moved."""


class ListedRepository(NamedTuple):
    """A repository in a listing."""

    names: Names
    """Components of its URL's path."""
    path: bytes | None
    """Its folder; None for a host without a repository."""
    changed: float | None
    """When its history last changed, in seconds since 1970; None if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListShape:
    """The shape of lists, as ``[web]`` of a configuration says, under hgwebdir's names."""

    descend: bool = True
    """Repositories further below are listed, too, not only those in the folder itself."""
    collapse: bool = False
    """A folder stands for the repositories in it."""


class Listing(NamedTuple):
    """The repositories below a path."""

    entries: Sequence[ListedRepository]
    """By name."""
    is_cut: bool
    """There may be more."""


class HostLookup:
    """Finds and lists hosts by the components of URL paths."""

    _log = Logger()

    def __init__(  # noqa: PLR0913 all that hosts are found by
        self,
        singles: Mapping[str, Host],
        collections: Iterable[Collection] = (),
        *,
        make_host: Callable[[bytes], Host] | None = None,
        call_in_thread: Callable[..., Deferred[Listing]] = maybeDeferred,
        limits: Limits | None = None,
        moved: Mapping[str, str] | None = None,
        shape: ListShape | None = None,
    ) -> None:
        """Serve single hosts and collections.

        Args:
            singles: By URL prefix: ``/``, or ``/name/name``.
            collections: Folders full of repositories, with their prefixes.
            make_host: Makes the host of a repository in a collection, from its folder.
            call_in_thread: Calls a function with arguments in a thread, where it may block.
            limits: Bounds the hosts that are kept and the names that a search reads.
            moved: New paths of repositories, by the old ones.
            shape: The shape of lists.
        """
        self._singles = {names_of(prefix): host for prefix, host in singles.items()}
        self._longest = max(map(len, self._singles), default=0)
        # Longer prefixes first; of equal ones the first.
        self._collections = sorted(
            ((each.names, each) for each in collections), key=lambda pair: -len(pair[0])
        )
        self._make_host = make_host
        self._call_in_thread = call_in_thread
        self._limits = limits or Limits()
        self._moved = MovedPaths(moved or {})
        self._told: set[str] = set()
        """Old paths that somebody else has taken, and of which the log says so."""
        self.shape = shape or ListShape()
        self.looking: set[Names] = set()
        """Paths below which the rest is looked at for later lists."""
        self._known: RecentlyUsed[bytes, Host] = RecentlyUsed(self._limits.known_repositories)
        """Hosts of repositories in collections, by folder."""
        self._listings: dict[Names, SharedAnswer[Listing]] = {}
        """Searches that have not begun, by the path they are for."""
        self.replaced_by: HostLookup | None = None
        """The hosts of a later configuration, for connections that ask these."""
        self._scanning = DeferredLock()
        self._describing = DeferredSemaphore(_DESCRIBED_AT_ONCE)

    # --- one path ----------------------------------------------------------------------------

    def find(self, names: Sequence[bytes]) -> FoundHost | None:
        """Return the host of the repository that a path names, alone or with more after it.

        Collections are read from the disk at each call, along the path and nowhere else.

        Args:
            names: The path's components, decoded; any bytes.
        """
        names = tuple(names)
        moved = self._moved.find(names, self._is_here)
        if moved is None:
            return self._find(names)
        found = self._find(moved.names)
        # A host that is found by less would be another one than that which was here.
        if found is None or found.consumed < moved.new:
            return None
        return found._replace(
            consumed=found.consumed - moved.new + moved.old,
            # Somebody may make a repository at the old path.
            is_fixed=found.is_fixed and not self._collections,
            moved_to=moved.names[: found.consumed],
        )

    def _is_here(self, names: Names, least: int) -> bool:
        found = self._find(names)
        if found is None or found.consumed < least:
            return False
        old, path = _shown(names[:least]), _shown(names[: found.consumed])
        if old not in self._told:
            self._told.add(old)
            self._log.warn(STILL_THERE, old=old, path=path)
        return True

    def tell_moves(self) -> None:
        """Log which old paths somebody else has taken; later ones are logged when asked for."""
        for old in self._moved:
            self._is_here(old, len(old))

    def _find(self, names: Names) -> FoundHost | None:
        found = self._find_single(names)
        covering = self._covering(names)
        if not covering:
            return found
        best: tuple[int, bytes] | None = None
        taken = -1 if found is None else found.consumed
        for prefix, collection in covering:
            located = collection.find(names[len(prefix) :], self._limits.collection_depth)
            if located is not None and len(prefix) + len(located.names) > taken:
                taken = len(prefix) + len(located.names)
                best = (taken, located.path)
        # Below a collection's prefix and not in it: no shorter entry may answer.
        if taken < len(covering[0][0]):
            return None
        if best is not None:
            return FoundHost(self._host_at(best[1]), best[0], is_fixed=False)
        return None if found is None else found._replace(is_fixed=False)

    def _find_single(self, names: Names) -> FoundHost | None:
        # By look-ups from the longest prefix down: single entries may be many, components of a path
        # are few.
        for length in range(min(len(names), self._longest), -1, -1):
            host = self._singles.get(names[:length])
            if host is not None:
                return FoundHost(host, length, is_fixed=True)
        return None

    def _covering(self, names: Names) -> list[tuple[Names, Collection]]:
        return [pair for pair in self._collections if names[: len(pair[0])] == pair[0]]

    def _host_at(self, path: bytes) -> Host:
        """Return the host of a repository in a collection.

        A host that has made room for others goes on for the requests that have it.
        """
        host = self._known.use(path)
        if host is not None:
            return host
        if self._make_host is None:
            message = "there are collections, and nothing to make their hosts"
            raise TypeError(message)
        host = self._make_host(path)
        self._known.keep(path, host)
        return host

    # --- listings ----------------------------------------------------------------------------

    def is_configured(self, names: Names) -> bool:
        """Return whether a path without a repository has a list even if that is empty."""
        return not names or any(prefix == names for prefix, _ in self._collections)

    def now_at(self, names: Names) -> Names:
        """Return a path as it is now, which is another one where it has moved."""
        moved = self._moved.find(names, self._is_here)
        return names if moved is None else moved.names

    def may_list(self, names: Names) -> bool:
        """Return whether a path without a repository may have repositories below it."""
        if self.is_configured(names):
            return True
        configured = [*self._singles, *(prefix for prefix, _ in self._collections)]
        if any(prefix[: len(names)] == names for prefix in configured):
            return True
        return any(
            collection.folder_at(names[len(prefix) :], self._limits.collection_depth) is not None
            for prefix, collection in self._covering(names)
        )

    def list_below(self, names: Names) -> Deferred[Listing]:
        """Search for the repositories below a path, and see what is new from now on.

        Folders are read in a thread, for one path after the other: a search may read many, and the
        reactor has few threads.
        """
        listing = self._listings.get(names)
        if listing is None:
            search = partial(self._scanning.run, self._begin_scan, names)
            listing = self._listings[names] = SharedAnswer(search)
        return listing.wait()

    def _begin_scan(self, names: Names) -> Deferred[Listing]:
        # Callers from now on get the next search: this one may have passed a new repository.
        del self._listings[names]
        return self._call_in_thread(self._scan, names)

    def _scan(self, names: Names) -> Listing:
        """Read folders; runs in a thread, and uses only what never changes."""
        budget = Budget(self._limits.index_scan)
        found: dict[Names, bytes | None] = {}
        for prefix, host in self._singles.items():
            if prefix[: len(names)] == names:
                found[prefix] = _path_of(host)
        for prefix, collection in self._collections:
            if prefix[: len(names)] == names:
                below: Names = ()
            elif names[: len(prefix)] == prefix:
                below = names[len(prefix) :]
            else:
                continue
            for located in collection.scan(below, self._limits.collection_depth, budget):
                found.setdefault(prefix + located.names, located.path)
        most = self._limits.index_entries
        entries = [
            ListedRepository(each, path, None if path is None else changed_at(path))
            for each, path in sorted(found.items())[:most]
        ]
        return Listing(entries, is_cut=budget.is_spent or len(found) > most)

    def host_of(self, entry: ListedRepository) -> Host | None:
        """Return the host of a repository in a listing."""
        single = self._singles.get(entry.names)
        if single is not None:
            return single
        return None if entry.path is None else self._host_at(entry.path)

    async def describe(self, host: Host) -> Settings:
        """Return a host's settings for a list; few are asked for at once.

        Raises:
            ServerError: Its repository is not there.
        """
        # First: what is known need not wait behind what is not.
        settings = host.known_settings() or await self._ask(host)
        if settings.lacks_repository:
            raise ServerError(UNAVAILABLE)
        return settings

    async def _ask(self, host: Host) -> Settings:
        await self._describing.acquire()
        try:
            # Another list may have asked meanwhile, or it is asked for at this moment.
            settings = host.known_settings() or host.settings()
            return await settings if isinstance(settings, Deferred) else settings
        finally:
            self._describing.release()

    def iter_repositories(self) -> Iterator[bytes]:
        """Return the folder of each repository: the single ones, then those of a bounded search.

        Blocks while it reads folders; it may run in a thread.
        """
        seen: set[bytes] = set()
        for host in self._singles.values():
            path = _path_of(host)
            if path is not None and path not in seen:
                seen.add(path)
                yield path
        budget = Budget(self._limits.index_scan)
        for _, collection in self._collections:
            for located in collection.scan((), self._limits.collection_depth, budget):
                if located.path not in seen:
                    seen.add(located.path)
                    yield located.path


def _shown(names: Names) -> str:
    return "".join("/" + os.fsdecode(name) for name in names)


def _path_of(host: Host) -> bytes | None:
    return host.path if isinstance(host, HostedRepository) else None
