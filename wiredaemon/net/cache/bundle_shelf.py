"""The bundles that are kept: which there are, and how long each must stay.

A file holds what must be known of its bundle in front of it, so that one rename puts both in place:
four bytes, big-endian, for the size of a CBOR map, the map (`BundleFacts`), then the bundle. Its
name is drawn at random: it says nothing, and nobody guesses it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.copied_content import CopyKind
from wiredaemon.net.cache.keys import Keys
from wiredaemon.net.cache.recording import IDENTITY, pieces_of
from wiredaemon.repository.clone_bundles import BundleFacts
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.reading import FileReader
    from wiredaemon.net.cache.recording import Recording
    from wiredaemon.net.cache.store import KeptResponse
    from wiredaemon.net.cache.targets import Target

# Clients ask for it at once. Some ask once more for the rest of what has broken off.
NAMED_SECONDS: Final = 1800.0
"""Time for which a bundle stays that a client was told of last."""
_SIZE: Final = 4
_HEAD: Final = Limits()
"""Bounds of the map, which we have written."""


@dataclass(slots=True, kw_only=True, eq=False)
class KeptBundle:
    """A bundle that is kept."""

    entry: KeptResponse
    facts: BundleFacts
    offset: int
    """Bytes of its file in front of it."""
    named_at: float
    """Seconds of the reactor's clock at which a client was told of it last."""

    @property
    def name(self) -> str:
        """Its name in URLs, 40 hexadecimal digits."""
        return self.entry.key

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.entry.size - self.offset


class BundleShelf:
    """The bundles of all repositories.

    Args:
        cache: Keeps the files.
        limits: ``cache_size`` bounds all of them.
        reactor_seconds: Seconds from any start.
        clock: Seconds since 1970.
        draw: Returns a name, 40 hexadecimal digits.
    """

    def __init__(
        self,
        cache: ResponseCache,
        limits: Limits,
        reactor_seconds: Callable[[], float],
        *,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], str] = lambda: secrets.token_hex(20),
    ) -> None:
        self.cache = cache
        self.clock = clock
        self.seconds = reactor_seconds
        self._room = limits.cache_size
        self._draw = draw
        self._bundles: dict[bytes, list[KeptBundle]] | None = None
        """By repository; None before the folder was read."""

    # --- finding -----------------------------------------------------------------------------

    def of(self, repository: bytes) -> Sequence[KeptBundle]:
        """Return the bundles of a repository, the newest first."""
        kept = self._kept().get(repository)
        if not kept:
            return ()
        # Others are gone: to make room, or because a file was damaged.
        kept[:] = [each for each in kept if self.cache.holds(_keys(each.name))]
        return sorted(kept, key=lambda each: each.facts.made, reverse=True)

    def tell(self, bundle: KeptBundle) -> None:
        """Note that a client is told of a bundle now."""
        bundle.named_at = self.seconds()
        self.cache.peek(_keys(bundle.name))  # it is the one used last

    async def open(self, bundle: KeptBundle, start: int = 0) -> FileReader | None:
        """Open a bundle for reading, from some byte on; None if that cannot be."""
        entry = self.cache.peek(_keys(bundle.name))  # which says if its checksum was compared
        reader = None if entry is None else await self.cache.open(entry)
        if reader is not None:
            reader.skip(bundle.offset + start)
        return reader

    def copies(self, bundle: KeptBundle) -> Sequence[Target]:
        """Return the targets where a copy of a bundle is, under the bundle's name."""
        redirects = self.cache.redirects
        return () if redirects is None else redirects.places_of(bundle.name)

    def upload(self, bundle: KeptBundle) -> None:
        """Have a bundle copied to the targets, where that was not done before."""
        if self.cache.redirects is not None:
            self.cache.redirects.offer(bundle.name, bundle.entry, IDENTITY)

    def _kept(self) -> dict[bytes, list[KeptBundle]]:
        if not self.cache.is_on:
            return {}
        if self._bundles is None:
            self._bundles = {}
            # Before this process was started, clients may have been told of each.
            for entry in self.cache.entries():
                self._take(self._bundles, entry, self.seconds())
        return self._bundles

    def _take(
        self, kept: dict[bytes, list[KeptBundle]], entry: KeptResponse, named_at: float
    ) -> KeptBundle | None:
        file = self.cache.open_content(entry)
        if file is None:
            return None
        with file:
            read = _read_facts(file)
        if read is None:
            self.cache.remove(entry)
            return None
        facts, offset = read
        bundle = KeptBundle(entry=entry, facts=facts, offset=offset, named_at=named_at)
        kept.setdefault(facts.repository, []).append(bundle)
        return bundle

    def _all(self) -> list[KeptBundle]:
        return [bundle for repository in list(self._kept()) for bundle in self.of(repository)]

    # --- changing ----------------------------------------------------------------------------

    def begin(self) -> tuple[Keys, Recording] | None:
        """Begin a file; None where that cannot be."""
        keys = _keys(self._draw())
        recording = self.cache.record(keys, IDENTITY)
        return None if recording is None else (keys, recording)

    def has_room(self, size: int) -> bool:
        """Return whether one more has room beside those that must stay."""
        now = self.seconds()
        staying = sum(each.entry.size for each in self._all() if _must_stay(each, now))
        return staying + size <= self._room

    async def keep(self, keys: Keys, recording: Recording) -> KeptBundle | None:
        """Keep a file that is complete; None if that could not be."""
        kept = self._kept()  # read before, or the new one would count twice
        await self.cache.keep(recording, keys, IDENTITY, may_redirect=False)
        entry = self.cache.peek(keys)
        return None if entry is None else self._take(kept, entry, float("-inf"))

    def discard(self, bundle: KeptBundle) -> None:
        """Remove a bundle at once, whoever was told of it: it must not be sent any more."""
        self.cache.remove(bundle.entry)

    def tidy(self) -> None:
        """Remove the bundles in whose place there are newer ones, once nobody asks for them."""
        now = self.seconds()
        seen: set[tuple[bytes, bytes]] = set()
        for bundle in self._all():
            kind = bundle.facts.repository, bundle.facts.spec
            if kind in seen and not _must_stay(bundle, now):
                self.cache.remove(bundle.entry)
            seen.add(kind)


def _bundle_of(file: IO[bytes], _encoding: bytes) -> Iterator[bytes]:
    """Return a bundle without what stands in front of it."""
    file.seek(_SIZE + int.from_bytes(file.read(_SIZE), "big"))
    yield from pieces_of(file)


BUNDLE_COPIES: Final = CopyKind(
    shown="a bundle", media_type=b"application/octet-stream", pieces=_bundle_of
)


def write_facts(facts: BundleFacts) -> bytes:
    """Return what stands in front of a bundle."""
    written = cbor.encode(facts.encode(), KeyOrder.BYTEWISE)
    return len(written).to_bytes(_SIZE, "big") + written


def _read_facts(file: IO[bytes]) -> tuple[BundleFacts, int] | None:
    """Return what stands in front of a bundle, and its size; None if it is of another release."""
    try:
        size = int.from_bytes(file.read(_SIZE), "big")
        (facts,) = cbor.decode_all(file.read(size), DIALECTS["0006"].cbor, _HEAD)
        return BundleFacts.parse(facts), _SIZE + size
    except (OSError, ValueError, ServerError):
        return None


def _must_stay(bundle: KeptBundle, now: float) -> bool:
    return now - bundle.named_at < NAMED_SECONDS


def _keys(name: str) -> Keys:
    return Keys(name, name)
