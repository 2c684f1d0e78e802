"""Runs any WSGI application for one request; its answer is pulled piece by piece.

Owns what an application says through ``start_response`` and the size of the pieces. The environment
is in ``wsgi_environ``; the application and its rights are left to ``web``.

Source: PEP 3333.
"""

from __future__ import annotations

import queue
import re
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from wsgiref.util import is_hop_by_hop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from types import TracebackType

    from wiredaemon.repository.web_calls import Header

PIECE_SIZE: Final = 65536
"""Bytes of the largest piece of an answer's body: two frames of a stream, one write to a pipe."""

# What people hardly notice.
HELD_SECONDS: Final = 0.1
"""Seconds for which small pieces are collected: templates yield a few bytes at a time."""

_SPOOLED_IN_MEMORY: Final = 1 << 20
# 256 KiB, as much as `_SENT_AT_ONCE` of the worker program: the thread has work while the pipe is
# full.
_HANDED_OVER: Final = 4
"""Pieces that a thread may be ahead of the reader."""

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of an answer."""

    status: int
    reason: bytes
    headers: tuple[Header, ...]
    """The headers without those that are about the connection, which is the daemon's."""


StartResponse: TypeAlias = "Callable[..., Callable[[bytes], object]]"
Application: TypeAlias = "Callable[[dict[str, Any], StartResponse], Iterable[bytes]]"


def answer(
    application: Application,
    variables: dict[str, Any],
    *,
    clock: Callable[[], float],
    in_thread: bool = False,
) -> Generator[Head | bytes]:
    """Run an application for one request and yield its answer: the head, then pieces of the body.

    ``HEAD`` is run as ``GET`` and left after the head, which is then the same (hgweb's own has
    another status for some pages, and none for archives). Small pieces are joined as long as they
    come within ``HELD_SECONDS``. Closing the generator stops the application.

    Args:
        application: Called once.
        variables: The environment, as `environ` returns it.
        clock: Returns seconds.
        in_thread: Run it in a thread, so that what it writes through the callable that
            ``start_response`` returns streams, too. Otherwise that waits in a temporary file for
            the application to return or to yield a piece.

    Raises:
        Exception: Anything that the application raises; before the head if no body came before.
    """
    source = _pieces_of_thread if in_thread else _pieces
    started = _Started()
    is_head = variables["REQUEST_METHOD"] == "HEAD"
    if is_head:
        variables = variables | {"REQUEST_METHOD": "GET"}
    with closing(source(application, variables, started)) as pieces:
        first = next(pieces, b"")
        if is_head:
            yield started.head()
            return
        sized = _sized(_prepended(first, pieces), clock)
        # The head after the first part of the body: hgweb finds faults while it writes that.
        part = next(sized, b"")
        started.is_sent = True
        yield started.head()
        if part:
            yield part
        yield from sized


class _Started:
    """The ``start_response`` of one request, which remembers the head."""

    def __init__(self) -> None:
        self.is_sent = False
        self.write: Callable[[bytes], object] | None = None
        self._said: tuple[str, Sequence[tuple[str, str]]] | None = None

    def __call__(
        self,
        status: str,
        headers: Sequence[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | None = None,
    ) -> Callable[[bytes], object]:
        """Accept the head; a second time only with the exception that it is about."""
        if exc_info is not None and self.is_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._said is not None:
            # PEP 3333 makes both errors of the application.
            raise RuntimeError("start_response was called twice")
        self._said = (status, headers)
        if self.write is None:
            raise RuntimeError("start_response was called too early")
        return self.write

    def head(self) -> Head:
        """Return the head.

        Raises:
            RuntimeError: The application gave none.
        """
        if self._said is None:
            raise RuntimeError("the application did not call start_response")
        status, headers = self._said
        code, _, reason = status.partition(" ")
        kept = (header for header in headers if not _is_about_the_connection(header[0]))
        return Head(
            status=int(code),
            reason=_encoded(reason),
            headers=tuple((_encoded(name), _encoded(value)) for name, value in kept),
        )


def _is_about_the_connection(name: str) -> bool:
    # The standard library has "Trailers", but not the header that RFC 9110, section 6.6.2, defines.
    return is_hop_by_hop(name) or name.lower() == "trailer"


def _encoded(text: str) -> bytes:
    """Return text of a head as bytes on one line: it may repeat parts of the request."""
    return _CONTROL.sub(b" ", text.encode("latin-1"))


def _pieces(
    application: Application, variables: dict[str, Any], started: _Started
) -> Generator[bytes]:
    """Yield the pieces of a body that are not empty; what is written waits for the next one."""
    with tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY) as spool:
        started.write = spool.write
        with _running(application, variables, started) as result:
            for piece in result:
                # What was written comes in front of the piece that was yielded after it (PEP
                # 3333).
                yield from _taken(spool)
                if piece:
                    yield piece
            yield from _taken(spool)


@contextmanager
def _running(
    application: Application, variables: dict[str, Any], started: _Started
) -> Iterator[Iterable[bytes]]:
    result = application(variables, started)
    try:
        yield result
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


def _taken(spool: tempfile.SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    if not spool.tell():
        return
    spool.seek(0)
    while piece := spool.read(PIECE_SIZE):
        yield piece
    spool.seek(0)
    spool.truncate()


class _AbandonedError(BaseException):
    """Unwinds an application whose answer is not read any more."""


def _pieces_of_thread(
    application: Application, variables: dict[str, Any], started: _Started
) -> Generator[bytes]:
    """Yield the same, and what is written, from a thread that is a few pieces ahead."""
    handed_over: queue.Queue[bytes | BaseException | None] = queue.Queue(_HANDED_OVER)
    is_abandoned, is_told = threading.Event(), threading.Event()

    def write(piece: bytes) -> None:
        if not is_abandoned.is_set():
            for part in _cut(piece):
                handed_over.put(part)
        elif not is_told.is_set():
            # Only once: what an application writes while it is unwound is dropped.
            is_told.set()
            # A BaseException, because applications catch every Exception of a write.
            raise _AbandonedError

    def run() -> None:
        end: BaseException | None = None
        try:
            with _running(application, variables, started) as result:
                for piece in result:
                    write(piece)
        except BaseException as failure:  # noqa: BLE001  raised again where the answer is read
            end = failure
        handed_over.put(end)

    started.write = write
    # A daemon thread, so that an archive that cannot be stopped does not keep the worker from
    # ending.
    thread = threading.Thread(target=run, name="web", daemon=True)
    thread.start()
    try:
        while isinstance(piece := handed_over.get(), bytes):
            yield piece
    finally:
        is_abandoned.set()
        _wait_for(thread, handed_over)
    if piece is not None:
        raise piece


def _wait_for(thread: threading.Thread, handed_over: queue.Queue[Any]) -> None:
    """Make room for what the thread still wants to hand over, until it has ended."""
    while thread.is_alive():
        while not handed_over.empty():
            handed_over.get_nowait()
        # Short, for it may want room for one more piece at any time.
        thread.join(0.01)


def _prepended(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces


def _sized(pieces: Iterator[bytes], clock: Callable[[], float]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that are neither tiny nor large."""
    held: list[bytes] = []
    size, since = 0, 0.0
    for piece in pieces:
        if not held:
            since = clock()
        held.append(piece)
        size += len(piece)
        if size >= PIECE_SIZE or clock() - since >= HELD_SECONDS:
            yield from _cut(b"".join(held))
            held.clear()
            size = 0
    yield from _cut(b"".join(held))


def _cut(data: bytes) -> Iterator[bytes]:
    if 0 < len(data) <= PIECE_SIZE:
        yield data
        return
    # A view, because an application may yield a file of gigabytes as one piece.
    view = memoryview(data)
    for start in range(0, len(data), PIECE_SIZE):
        yield bytes(view[start : start + PIECE_SIZE])
