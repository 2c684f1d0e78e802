"""Pieces of kept files, read in threads: few at once, however many want one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from support.caching import TimedReactor
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred, gatherResults

from wiredaemon.net.cache.cache import READ_AT_ONCE, ResponseCache
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """Gives a piece when it may, and counts the reads that go on."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.is_full: Deferred[None] = Deferred()
        self.most = self._count = 0
        self._lock = threading.Lock()

    def read(self, most: int) -> bytes:
        """Wait, and return a piece."""
        from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

        anywhere: Any = reactor
        with self._lock:
            self._count += 1
            self.most = max(self.most, self._count)
            if self._count == READ_AT_ONCE:
                anywhere.callFromThread(self._on_full)
        assert self.goes_on.wait(60)
        with self._lock:
            self._count -= 1
        return bytes(most)

    def _on_full(self) -> None:
        if not self.is_full.called:
            self.is_full.callback(None)


@ensure_deferred
async def test_few_pieces_are_read_at_once_and_all_come(tmp_path: Path) -> None:
    cache, reader = ResponseCache(tmp_path, Limits(), TimedReactor()), Reader()
    given: Any = reader
    reads = [Deferred.fromCoroutine(cache.read(given, 3)) for _ in range(3 * READ_AT_ONCE)]
    await reader.is_full
    assert not any(read.called for read in reads)
    reader.goes_on.set()
    assert await gatherResults(reads) == [bytes(3)] * len(reads)
    assert reader.most == READ_AT_ONCE
