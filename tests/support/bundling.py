"""Repositories whose bundles are made by a worker that a test answers for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from support.caching import TimedReactor
from support.cloning import WorkerAnswer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater

from wiredaemon.net.cache.bundle_maker import BundleMaker
from wiredaemon.net.cache.bundle_shelf import BUNDLE_COPIES, BundleShelf
from wiredaemon.net.cache.bundles import RepositoryBundles
from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.redirects import Redirects
from wiredaemon.repository.clone_bundles import StreamsFirst
from wiredaemon.repository.stat_signatures import WatchedFiles
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.cache.bundle_shelf import KeptBundle
    from wiredaemon.net.cache.targets import Target
    from wiredaemon.wire.values import Value

SPEC: Final = b"zstd-v2"
CONTENT: Final = bytes(range(256)) * 10


class ClockedReactor(TimedReactor):
    """The real reactor's threads, with a clock that the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(10_000)

    def seconds(self) -> float:
        """The time, as the test has set it."""
        return self.clock.seconds()

    def callLater(self, delay: float, call: Callable[..., object], *args: object) -> IDelayedCall:
        """Call when the test has moved the clock so far."""
        return self.clock.callLater(delay, call, *args)


def answer(*pieces: bytes, is_good: bool = True, count: int = 100) -> WorkerAnswer:
    """Return what a worker says while it makes a bundle."""
    known: dict[bytes, Value] = {
        b"heads": [b"h" * 20],
        b"changesets": count,
        b"revisions": count,
        b"files": b"f",
    }
    objects: list[Value] = [known, *(pieces or (CONTENT,)), is_good]
    return WorkerAnswer(*(cbor.encode(each, KeyOrder.BYTEWISE) for each in objects))


class Worker:
    """Makes bundles, and says which of them are good, as the test wants."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        """The kinds that were asked for."""
        self.next: WorkerAnswer | Exception | None = None
        self.looks = 0
        """How often it was asked what is good."""
        self.is_good = True
        self.count = 100
        """Changesets that are served."""
        self.error: Exception | None = None

    async def open(self, command: bytes, arguments: Mapping[bytes, Value]) -> WorkerAnswer:
        """Make a bundle."""
        assert command == b"clone_bundle"
        spec = arguments[b"spec"]
        assert isinstance(spec, bytes)
        self.made.append(spec)
        following, self.next = self.next, None
        if isinstance(following, Exception):
            raise following
        return following or answer(count=self.count)

    def call(self, command: bytes, arguments: Mapping[bytes, Any]) -> Deferred[object]:
        """Say what is good."""
        assert command == b"bundle_states"
        self.looks += 1
        if self.error is not None:
            raise self.error
        good = [self.is_good] * len(arguments[b"bundles"])
        return succeed({b"good": good, b"changesets": self.count, b"manifest": b"", b"older": b""})


class Bundling:
    """A folder of bundles, and the repositories that they are of."""

    def __init__(self, folder: Path, size: int = 1 << 20, targets: Sequence[Target] = ()) -> None:
        self.folder = folder
        self._targets = targets
        self.limits = Limits(cache_size=size, cache_entry=size)
        self.reactor = ClockedReactor()
        self.is_quiet = self.has_room = True
        self.begin()

    def begin(self) -> None:
        """Begin as after a start."""
        folder, clock = self.folder / "bundles", self.reactor.seconds
        self.redirects = Redirects(
            self._targets, folder, self.limits, TimedReactor(), clock, kind=BUNDLE_COPIES
        )
        # An hour ahead: whatever is changed was changed long ago.
        self.cache = ResponseCache(
            folder,
            self.limits,
            self.reactor,
            self.redirects,
            clock=lambda: time.time_ns() + 3600 * 10**9,
        )
        self.cache.start()
        self.shelf = BundleShelf(
            self.cache, self.limits, self.reactor.seconds, clock=self.reactor.seconds
        )
        self.maker = BundleMaker(self.shelf, self.reactor, self._is_quiet)

    def _is_quiet(self, *, beside_others: bool) -> bool:
        return self.has_room if beside_others else self.is_quiet

    async def begin_again(self) -> None:
        """End, and begin anew."""
        self.maker.stop()
        await self.cache.stop()
        self.begin()

    @property
    def files(self) -> list[Path]:
        """The files that are kept or begun."""
        folder = self.folder / "bundles" / "responses"
        return [file for file in folder.iterdir() if file.name != "lock"]

    def repository(
        self,
        name: str = "r",
        *specs: bytes,
        described: bytes = b"d",
        is_public: bool = False,
        first: StreamsFirst = StreamsFirst.NEAR,
    ) -> Repository:
        """Return one of the repositories."""
        return Repository(self, name, specs or (SPEC,), described, first, is_public=is_public)

    async def settle(self) -> None:
        """Wait until nothing is made."""
        while self.maker.is_making:
            await deferLater(self.reactor._real, 0, lambda: None)

    async def pass_by(self, seconds: float) -> None:
        """Let time go by, a second at a time."""
        for _ in range(int(seconds)):
            self.reactor.clock.advance(1)
            await self.settle()


class Repository:
    """One repository."""

    def __init__(
        self,
        bundling: Bundling,
        name: str,
        specs: tuple[bytes, ...],
        described: bytes,
        first: StreamsFirst,
        *,
        is_public: bool,
    ) -> None:
        self.worker = Worker()
        self.state = bundling.folder / name
        self.state.write_bytes(b"1")
        now = bundling.reactor.seconds()
        os.utime(self.state, (now, now))
        self._files = WatchedFiles((), [os.fsencode(self.state)], bundling.reactor.seconds)
        self.bundles = RepositoryBundles(
            maker=bundling.maker,
            worker=self.worker,
            path=name.encode(),
            files=self._files,
            described=described,
            specs=specs,
            streams_first=first,
            changesets=os.fsencode(self.state),
            is_public=is_public,
        )

    def change(self) -> None:
        """Commit something."""
        self.state.write_bytes(self.state.read_bytes() + b"1")

    def answered(self) -> None:
        """Note that an answer is kept."""
        self.bundles.answered(self._files.stat_state_anew())

    async def offered(self, *, is_near: bool = False) -> list[KeptBundle]:
        """Return what clients are told of."""
        offer = await self.bundles.offer(is_near=is_near)
        return [] if offer is None else list(offer.bundles)
