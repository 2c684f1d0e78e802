"""Many connections with many requests in flight each, in one thread; every answer is checked."""

from __future__ import annotations

import random
import selectors
import ssl
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from benchmarks.daemon import DEADLINE, DIALECTS
from benchmarks.errors import BenchmarkError
from benchmarks.frames import ENCODED, ERROR_RESPONSE, STREAM_SETTINGS, Frames
from benchmarks.mix import Mix
from benchmarks.wire import CONTINUATION, EOS, STREAM_BEGIN

if TYPE_CHECKING:
    import socket

    from benchmarks.daemon import Daemon
    from benchmarks.frames import Frame
    from benchmarks.mix import Request

_READ: Final = 64 * 1024
_IDS: Final = 1 << 16
_FIRST_ID: Final = _IDS - 101
"""The first request id; high, so that ids soon begin again at 1."""
_BEGIN_OFFSET: Final = 6
"""The offset of the stream flags in a frame's header."""
_POLL_SECONDS: Final = 0.2
_SHOWN: Final = 200
_LEAVE_EVERY: Final = 10
"""One in this number of connections leaves with its requests in flight."""


@dataclass(slots=True)
class Counts:
    """The counts of one run."""

    answered: Counter[str] = field(default_factory=Counter)
    """The number of right answers, by command."""
    abandoned: int = 0
    """Requests of connections that left before the answer."""
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    """From the first request to the last answer."""
    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from making a request to the end of its answer."""


@dataclass(slots=True)
class _Open:
    """A request without an answer."""

    request: Request
    since: float
    received: bytearray = field(default_factory=bytearray)
    stream_id: int | None = None


class _Peer:
    """One connection, which makes requests and checks every answer."""

    def __init__(
        self, connection: socket.socket, dialect: str, number: int, counts: Counts
    ) -> None:
        self.connection = connection
        self.number = number
        self._dialect = dialect
        self._counts = counts
        self._mix = Mix(dialect, b"%d" % number, number)
        self._random = random.Random(number)  # noqa: S311 nothing is secret
        self._next_id = _FIRST_ID
        self._frames = Frames()
        self._out = bytearray()
        self._has_begun = False
        self._unsent: list[tuple[int, list[bytes]]] = []
        self.open: dict[int, _Open] = {}
        self._streams: dict[int, int | None] = {}
        """Streams that have begun, each with the request whose answer it carries now."""
        self._settled: set[int] = set()
        """Streams whose settings were received."""
        # Never blocking: all connections share one thread.
        connection.settimeout(0)

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait that the kernel did not accept."""
        return bool(self._out)

    def fill(self, window: int) -> None:
        """Make requests until ``window`` of them are open, and send."""
        now = time.monotonic()
        while len(self.open) < window:
            request_id = self._free_id()
            request = self._mix.next(request_id)
            self.open[request_id] = _Open(request, now)
            self._unsent.append((request_id, request.frames))
        self._mingle()
        self.write()

    def write(self) -> None:
        """Send as much as the kernel accepts."""
        while self._out:
            try:
                # OpenSSL demands the same bytes if it could not write them: `_out` only grows.
                count = self.connection.send(memoryview(self._out)[:_READ].tobytes())
            except (BlockingIOError, ssl.SSLWantWriteError):
                return
            del self._out[:count]
            self._counts.bytes_out += count

    def read(self) -> None:
        """Receive all bytes that have arrived, and check them."""
        while True:
            try:
                data = self.connection.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not data:
                raise self._wrong("the server closed the connection")
            self._counts.bytes_in += len(data)
            for each in self._frames.feed(data):
                self._take(each)
            # A short read of a plain socket was the last one: a system call saved. TLS returns one
            # record a read, so that a short one says nothing.
            if not isinstance(self.connection, ssl.SSLSocket) and len(data) < _READ:
                return

    def _mingle(self) -> None:
        """Queue the frames of all requests in random order; those of one request keep theirs."""
        unsent = self._unsent
        while unsent:
            position = self._random.randrange(len(unsent))
            frames = unsent[position][1]
            data = bytearray(frames.pop(0))
            if not self._has_begun:
                self._has_begun = True
                data[_BEGIN_OFFSET] |= STREAM_BEGIN
            self._out += data
            if not frames:
                unsent[position] = unsent[-1]
                unsent.pop()

    def _free_id(self) -> int:
        # Ids of clients are odd, and 2**16 is even: so they stay odd when they begin again.
        while self._next_id in self.open:
            self._next_id = (self._next_id + 2) % _IDS
        request_id = self._next_id
        self._next_id = (self._next_id + 2) % _IDS
        return request_id

    def _take(self, each: Frame) -> None:
        self._check_stream(each)
        one = self.open.get(each.request_id)
        if one is None:
            raise self._wrong("an answer to no request", each)
        if each.kind == STREAM_SETTINGS and self._dialect == "0006":
            if each.stream_id in self._settled or each.payload != b"\x48identity":
                raise self._wrong("strange stream settings", each)
            self._settled.add(each.stream_id)
            return
        request = one.request
        is_error_frame = each.kind == ERROR_RESPONSE
        extra = each.flags if is_error_frame else each.flags & ~(EOS | CONTINUATION)
        if each.kind != request.kind or extra != request.flags:
            raise self._wrong(f"another answer to {request.command}", each)
        if each.stream_flags & ENCODED and each.stream_id not in self._settled:
            raise self._wrong("a stream without settings", each)
        one.received += each.payload
        if is_error_frame or each.flags & EOS:
            self._streams[each.stream_id] = None
            self._complete(each, one)

    def _check_stream(self, each: Frame) -> None:
        """Check that streams begin once, and carry one answer after the other."""
        stream_id = each.stream_id
        begins = bool(each.stream_flags & STREAM_BEGIN)
        if begins == (stream_id in self._streams) or stream_id % 2:
            raise self._wrong("a stream that begins twice, or never", each)
        if self._streams.setdefault(stream_id, None) not in {None, each.request_id}:
            raise self._wrong("two answers on one stream", each)
        self._streams[stream_id] = each.request_id
        one = self.open.get(each.request_id)
        if one is not None:
            if one.stream_id not in {None, stream_id}:
                raise self._wrong("one answer on two streams", each)
            one.stream_id = stream_id

    def _complete(self, each: Frame, one: _Open) -> None:
        if one.received != one.request.answer:
            raise self._wrong(
                f"a wrong answer to {one.request.command}: {bytes(one.received[:_SHOWN])!r} "
                f"instead of {one.request.answer[:_SHOWN]!r}"
            )
        del self.open[each.request_id]
        self._counts.answered[one.request.command] += 1
        self._counts.latencies.append(time.monotonic() - one.since)

    def _wrong(self, what: str, each: Frame | None = None) -> BenchmarkError:
        shown = "" if each is None else f": {each!r:.{_SHOWN}}"
        return BenchmarkError(f"connection {self.number} ({self._dialect}): {what}{shown}")


def swarm(  # noqa: PLR0913 what a run is
    daemon: Daemon, *, listener: str, connections: int, window: int, seconds: float, seed: int
) -> Counts:
    """Keep requests in flight on many connections, then close them all.

    At the end one in ten connections leaves with its requests in flight; the others wait for all
    of their answers.

    Args:
        daemon: The daemon to connect to.
        listener: The kind of listener; its two dialects take turns.
        connections: The number of connections at once.
        window: The number of requests in flight on each.
        seconds: The time for which requests are made.
        seed: The seed of their contents.

    Raises:
        BenchmarkError: An answer was wrong or missing.
    """
    counts = Counts()
    peers: list[_Peer] = []
    with selectors.DefaultSelector() as selector:
        try:
            for number in range(connections):
                dialect = DIALECTS[number % len(DIALECTS)]
                connection = daemon.connect(listener, dialect)
                peers.append(_Peer(connection, dialect, seed + number, counts))
            began = time.monotonic()
            for peer in peers:
                selector.register(peer.connection, selectors.EVENT_READ, peer)
                peer.fill(window)
                _watch(selector, peer)
            _run_until(selector, began + seconds, window)
            # Before the others have finished, so that the daemon must cancel running commands.
            counts.abandoned = _leave(selector, peers[::_LEAVE_EVERY])
            staying = [peer for number, peer in enumerate(peers) if number % _LEAVE_EVERY]
            _wait_for_answers(selector, staying)
            counts.seconds = time.monotonic() - began
        finally:
            for peer in peers:
                peer.connection.close()
    return counts


def _leave(selector: selectors.BaseSelector, leaving: list[_Peer]) -> int:
    """Close connections with requests in flight; return the number of those requests."""
    for peer in leaving:
        selector.unregister(peer.connection)
        peer.connection.close()
    return sum(len(peer.open) for peer in leaving)


def _run_until(selector: selectors.BaseSelector, end: float, window: int) -> None:
    while time.monotonic() < end:
        for key, events in selector.select(_POLL_SECONDS):
            peer = cast("_Peer", key.data)
            if events & selectors.EVENT_READ:
                peer.read()
                peer.fill(window)
            else:
                peer.write()
            _watch(selector, peer)


def _wait_for_answers(selector: selectors.BaseSelector, peers: list[_Peer]) -> None:
    end = time.monotonic() + DEADLINE
    while waiting := sum(len(peer.open) for peer in peers):
        if time.monotonic() > end:
            raise BenchmarkError(f"{waiting} requests were never answered")
        for key, events in selector.select(_POLL_SECONDS):
            peer = cast("_Peer", key.data)
            if events & selectors.EVENT_READ:
                peer.read()
            peer.write()
            _watch(selector, peer)


def _watch(selector: selectors.BaseSelector, peer: _Peer) -> None:
    events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.wants_to_write else 0)
    # Compared first: `modify` is a system call.
    if selector.get_key(peer.connection).events != events:
        selector.modify(peer.connection, events, peer)
