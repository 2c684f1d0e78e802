"""The daemon's cache of responses: a store whose files are read and written in threads.

No fault of the cache reaches a peer: what cannot be kept or read comes from a worker again.
"""

from __future__ import annotations

import time
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wiredaemon.net.cache.reading import FileReader
from wiredaemon.net.cache.recording import PIECE, Recording
from wiredaemon.net.cache.store import DamagedError, KeptResponse, ResponseStore, StoreError
from wiredaemon.net.repeated_lines import RepeatedLines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from twisted.python.failure import Failure

    from wiredaemon.net.cache.keys import Keys
    from wiredaemon.net.cache.redirects import Redirects
    from wiredaemon.wire.limits import Limits

SUSPENDED_SECONDS: Final = 60.0
"""Time for which nothing is recorded after a write has failed: a full disk is not tried and logged
for each answer."""

_log: Final = Logger()
_T = TypeVar("_T")
READ_AT_ONCE: Final = 8
"""Pieces that are read at once: of hundreds each would be held until its turn."""


class ResponseCache:
    """Responses that are kept, found and recorded."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        redirects: Redirects | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin without a folder: nothing is kept before `start`.

        Args:
            folder: The folder of the cache; it is made if need be.
            limits: ``cache_size`` and others; where it is 0, nothing is kept.
            reactor: The reactor, for threads and its clock.
            redirects: The redirects, which copy recorded answers to targets.
            clock: Nanoseconds since 1970.
        """
        self.clock = clock
        self._folder = folder
        self._store = ResponseStore(folder / "responses", limits)
        self._limits = limits
        self._reactor = reactor
        self.redirects = redirects
        self._reading = DeferredSemaphore(READ_AT_ONCE)
        self._unreadable = RepeatedLines(reactor, lambda line: _log.error("{line}", line=line))
        self._recordings: set[str] = set()
        """Keys of what is being recorded."""
        self._working: set[Deferred[None]] = set()
        self._suspended_until = 0.0
        self.hits = self.misses = self.recorded = 0
        self.unusable = 0
        """Hits that a worker answered after all, because they could not be read."""

    # --- its life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Open the folder; if that fails, the daemon goes on without a cache."""
        if not self._limits.cache_size:
            return
        try:
            self._store.open()
        except StoreError as error:
            _log.error("no response is kept: {reason}", reason=str(error))
            return
        if self.redirects is not None:
            self.redirects.start(self.open_content)

    def stop(self) -> Deferred[None]:
        """Close the folder once nothing is written to it any more."""
        self._unreadable.stop()
        waiting = list(self._working)
        if self.redirects is not None:
            waiting.append(self.redirects.stop())
        done = DeferredList(waiting, consumeErrors=True)
        return done.addCallback(lambda _: self._store.close())

    @property
    def is_on(self) -> bool:
        """The folder is open: responses are found and recorded."""
        return self._store.is_open

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._store.size

    def __len__(self) -> int:
        """Return the number of responses that are kept."""
        return len(self._store)

    # --- reading -----------------------------------------------------------------------------

    def find(self, keys: Keys) -> KeptResponse | None:
        """Return the kept response to a request, and count a hit or a miss."""
        entry = self._store.find(keys.entry)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    def peek(self, keys: Keys) -> KeptResponse | None:
        """Return the kept response to a request, and count nothing."""
        return self._store.find(keys.entry)

    def holds(self, keys: Keys) -> bool:
        """Return whether there is a kept response, and let it be used no later for that."""
        return self._store.holds(keys.entry)

    def entries(self) -> list[KeptResponse]:
        """Return all that is kept, what was used last at the end."""
        return list(self._store)

    def remove(self, entry: KeptResponse) -> None:
        """Remove a kept response, if it is still there; who reads it reads on."""
        self._store.remove(entry)

    async def open(self, entry: KeptResponse) -> FileReader | None:
        """Open a kept response for reading; None if that cannot be. A damaged one is removed."""
        try:
            reader = FileReader(self._store.open_entry(entry))
        except DamagedError as error:
            self.report_damage(entry, str(error))
            return None
        except OSError as error:
            # No descriptors left, perhaps: what is kept is no worse for that.
            self.unusable += 1
            self._unreadable.log(f"a kept response cannot be read: {error}")
            return None
        # Once for each file and process: CRC-32 reads 2 GB a second, so that the largest answer
        # takes 0.1 s.
        if entry.is_trusted:
            return reader
        # It may be older than a crash of the whole machine.
        try:
            size, checksum = await self.in_thread(reader.measure)
        except OSError as error:
            reader.close()
            self.report_damage(entry, str(error))
            return None
        except BaseException:
            reader.close()
            raise
        if (size, checksum) != (entry.size, entry.checksum):
            reader.close()
            self.report_damage(entry, "its checksum is wrong")
            return None
        self._store.trust(entry)
        return reader

    def open_content(self, entry: KeptResponse) -> IO[bytes] | None:
        """Open the file of a kept response, for an upload; None if it is gone."""
        try:
            return self._store.open_entry(entry)
        except (DamagedError, OSError):
            return None

    def report_damage(self, entry: KeptResponse, reason: str) -> None:
        """Log that an entry cannot be used, and remove it."""
        _log.error("a kept response is damaged and dropped: {reason}", reason=reason)
        self.unusable += 1
        self._store.remove(entry)

    # --- recording ---------------------------------------------------------------------------

    def may_record(self, keys: Keys) -> bool:
        """Return whether a response can be recorded now.

        It cannot while the same one is recorded already, or as many as ``cache_recordings``.
        """
        return (
            self._store.is_open
            and keys.entry not in self._recordings
            and len(self._recordings) < self._limits.cache_recordings
            and self._reactor.seconds() >= self._suspended_until
        )

    def record(self, keys: Keys, encoding: bytes) -> Recording | None:
        """Begin to record a response; None where that cannot be, now or because of the disk."""
        if not self.may_record(keys):
            return None
        store = self._store
        # Two, because what is sent is recorded as objects, and encoded only when all of it is
        # there.
        paths = store.temporary(), store.temporary()
        try:
            recording = Recording(keys.entry, encoding, paths, self._limits.cache_entry)
        except OSError as error:
            self._suspend(error)
            return None
        self._recordings.add(keys.entry)
        return recording

    def write(self, recording: Recording, parts: Sequence[bytes]) -> None:
        """Record what was sent."""
        try:
            recording.write(parts)
        except OSError as error:
            recording.drop()
            self._suspend(error)

    def drop(self, recording: Recording) -> None:
        """Forget a response that is recorded."""
        recording.drop()
        self._recordings.discard(recording.key)

    def keep(
        self, recording: Recording, keys: Keys, encoding: bytes, *, may_redirect: bool
    ) -> Deferred[None]:
        """Keep a response that is complete, once a thread has encoded it.

        Returns:
            Fires when it is kept, or cannot be; it never fails.
        """
        if not recording.is_going_on:
            self.drop(recording)
            return succeed(None)
        # In a thread: zlib takes seconds for the 256 MiB that `cache_entry` allows.
        working: Deferred[None] = self.in_thread(recording.finish).addCallback(
            partial(self._commit, keys=keys, encoding=encoding, may_redirect=may_redirect)
        )
        working.addErrback(self._on_failed)
        self._working.add(working)

        def end(_: object) -> None:
            self._working.discard(working)
            self._recordings.discard(recording.key)
            recording.clean()

        working.addCallback(end)
        return working

    def _commit(
        self,
        finished: tuple[Path, KeptResponse] | None,
        *,
        keys: Keys,
        encoding: bytes,
        may_redirect: bool,
    ) -> None:
        if finished is None or not self._store.is_open:
            return
        path, entry = finished
        self._store.commit(path, entry)
        self.recorded += 1
        _log.debug("a response of {size} bytes is kept", size=entry.size)
        if may_redirect and self.redirects is not None:
            self.redirects.offer(keys.content, entry, encoding)

    def _on_failed(self, failure: Failure) -> None:
        if isinstance(failure.value, OSError):
            self._suspend(failure.value)
        else:
            _log.failure("a response could not be kept", failure)

    def _suspend(self, error: OSError) -> None:
        # One line of the log for recordings that fail together.
        if self._reactor.seconds() >= self._suspended_until:
            _log.error(
                "no response is recorded for {seconds} s in {folder}: {reason}",
                seconds=SUSPENDED_SECONDS,
                folder=self._folder,
                reason=str(error),
            )
        self._suspended_until = self._reactor.seconds() + SUSPENDED_SECONDS

    async def read(self, reader: FileReader, most: int = PIECE) -> bytes:
        """Return the next piece of an open file; few are read at once.

        Raises:
            OSError: The file cannot be read.
        """
        await self._reading.acquire()
        try:
            return await self.in_thread(partial(reader.read, most))
        finally:
            self._reading.release()

    def in_thread(self, call: Callable[[], _T]) -> Deferred[_T]:
        """Call a function that blocks in a thread."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call)
