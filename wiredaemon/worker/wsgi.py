"""Running any WSGI application for one request, answer pulled piece by piece.

Owns the environment that an application is given, what it says through ``start_response``, and the
size of the pieces. Which application, and with what rights, is for ``web``.

Source: PEP 3333; RFC 3875, section 4.1.
"""

from __future__ import annotations

import io
import queue
import re
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from types import TracebackType

    from wiredaemon.repository.web_calls import Header, WebRequest

PIECE_SIZE: Final = 65536
"""The largest piece of an answer's body, in bytes."""

HELD_SECONDS: Final = 0.1
"""How long small pieces are collected."""

_UNDECLARED: Final = 1 << 62
"""Stands for the length of a body whose length nobody declared.

An application reads as far as the length says, and nothing where there is none; our input ends by
itself.
"""

_SPOOLED_IN_MEMORY: Final = 1 << 20
_HANDED_OVER: Final = 4
"""Pieces that a thread may be ahead."""

_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")
"""Header names that have a variable of their own: ``X_Y`` would pass for ``X-Y``."""

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")

_NOT_FORWARDED: Final = frozenset(
    (
        # The daemon has used them, and programs that are started should not see them.
        b"authorization",
        b"proxy-authorization",
        # HTTP_PROXY is something else where variables become an environment.
        b"proxy",
        # They have variables of their own.
        b"content-length",
        b"content-type",
    )
)

_HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers that are about one connection, which is the daemon's."""


class Readable(Protocol):
    """A request body as it arrives."""

    def read(self, size: int, /) -> bytes:
        """Give up to ``size`` bytes as soon as there are any; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What comes in front of an answer's body."""

    status: int
    reason: bytes
    headers: tuple[Header, ...]
    """Without those about the connection."""


StartResponse: TypeAlias = "Callable[..., Callable[[bytes], object]]"
Application: TypeAlias = "Callable[[dict[str, Any], StartResponse], Iterable[bytes]]"


def environ(request: WebRequest, *, user: str | None, body: Readable) -> dict[str, Any]:
    """Give the environment of a request: bytes as text in ISO-8859-1, as the source has it.

    Args:
        request: Its head.
        user: Becomes ``REMOTE_USER``, in UTF-8.
        body: Becomes ``wsgi.input``; bytes may be read ahead of what the application asked for.
    """
    variables = {
        b"REQUEST_METHOD": request.method,
        b"SCRIPT_NAME": request.script_name,
        b"PATH_INFO": request.path_info,
        b"QUERY_STRING": request.query,
        b"SERVER_NAME": request.server_name,
        b"SERVER_PORT": b"%d" % request.server_port,
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        b"REMOTE_ADDR": request.remote_address,
        b"REMOTE_HOST": request.remote_address,
        **_header_variables(request.headers),
    }
    if request.has_body:
        length = request.content_length
        variables[b"CONTENT_LENGTH"] = b"%d" % (_UNDECLARED if length is None else length)
    else:
        variables[b"CONTENT_LENGTH"] = b"0"
    if user is not None:
        variables[b"REMOTE_USER"] = user.encode("utf-8", "surrogateescape")
    native: dict[str, Any] = {
        name.decode("ascii"): value.decode("latin-1") for name, value in variables.items()
    }
    return native | {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if request.is_secure else "http",
        "wsgi.input": io.BufferedReader(_Input(body), PIECE_SIZE),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _header_variables(headers: Iterable[Header]) -> dict[bytes, bytes]:
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if _NAME.fullmatch(name):
            values.setdefault(name.lower(), []).append(value)
    variables = {
        b"HTTP_" + name.upper().replace(b"-", b"_"): b",".join(several)
        for name, several in values.items()
        if name not in _NOT_FORWARDED
    }
    if b"content-type" in values:
        variables[b"CONTENT_TYPE"] = values[b"content-type"][0]
    return variables


class _Input(io.RawIOBase):
    """A body with the interface of a file."""

    def __init__(self, body: Readable) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  typeshed's WriteableBuffer is for types only
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def answer(
    application: Application,
    variables: dict[str, Any],
    *,
    clock: Callable[[], float],
    in_thread: bool = False,
) -> Generator[Head | bytes]:
    """Run an application for one request and give its answer: the head, then pieces of the body.

    ``HEAD`` is run as ``GET`` and left after the head, which is then the same (hgweb's own has
    another status for some pages, and none for archives). Small pieces are joined as long as they
    come within ``HELD_SECONDS``. Closing the generator stops the application.

    Args:
        application: Called once.
        variables: What ``environ`` gives.
        clock: Gives seconds.
        in_thread: Run it in a thread, so that what it writes through the callable that
            ``start_response`` gives streams, too. Otherwise that waits in a temporary file for the
            application to return or to give a piece.

    Raises:
        Exception: Whatever the application raises; in front of the head if it gave no body before.
    """
    source = _pieces_of_thread if in_thread else _pieces
    started = _Started()
    is_head = variables["REQUEST_METHOD"] == "HEAD"
    if is_head:
        variables = variables | {"REQUEST_METHOD": "GET"}
    with closing(source(application, variables, started)) as pieces:
        first = next(pieces, b"")
        started.is_sent = True
        yield started.head()
        if not is_head:
            yield from _sized(_prepended(first, pieces), clock)


class _Started:
    """What an application says through ``start_response``."""

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
        """Be told the head; a second time only with the exception that it is about."""
        if exc_info is not None and self.is_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._said is not None:
            raise RuntimeError("start_response was called twice")
        self._said = (status, headers)
        if self.write is None:
            raise RuntimeError("start_response was called too early")
        return self.write

    def head(self) -> Head:
        """Give what was said.

        Raises:
            RuntimeError: Nothing was.
        """
        if self._said is None:
            raise RuntimeError("the application did not call start_response")
        status, headers = self._said
        code, _, reason = status.partition(" ")
        named = ((_encoded(name), _encoded(value)) for name, value in headers)
        return Head(
            status=int(code),
            reason=_encoded(reason),
            headers=tuple(header for header in named if header[0].lower() not in _HOP_BY_HOP),
        )


def _encoded(text: str) -> bytes:
    """Text of a head as bytes, on one line: an application may repeat what it was asked for."""
    return _CONTROL.sub(b" ", text.encode("latin-1"))


def _pieces(
    application: Application, variables: dict[str, Any], started: _Started
) -> Generator[bytes]:
    """The pieces of a body that are not empty; what is written waits for the next one."""
    with tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY) as spool:
        started.write = spool.write
        with _running(application, variables, started) as result:
            for piece in result:
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
    """Nobody wants the answer any more: unwinds the application."""


def _pieces_of_thread(
    application: Application, variables: dict[str, Any], started: _Started
) -> Generator[bytes]:
    """The same, what is written included, from a thread that is a few pieces ahead."""
    handed_over: queue.Queue[bytes | BaseException | None] = queue.Queue(_HANDED_OVER)
    is_abandoned, is_told = threading.Event(), threading.Event()

    def write(piece: bytes) -> None:
        if not is_abandoned.is_set():
            for part in _cut(piece):
                handed_over.put(part)
        elif not is_told.is_set():
            # Once: what an application writes while it is unwound goes nowhere.
            is_told.set()
            raise _AbandonedError

    def run() -> None:
        end: BaseException | None = None
        try:
            with _running(application, variables, started) as result:
                for piece in result:
                    write(piece)
        except BaseException as failure:  # noqa: BLE001  raised again by who asked for the answer
            end = failure
        handed_over.put(end)

    started.write = write
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
        thread.join(0.01)


def _prepended(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces


def _sized(pieces: Iterator[bytes], clock: Callable[[], float]) -> Iterator[bytes]:
    """The same bytes in pieces of a good size."""
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
    view = memoryview(data)
    for start in range(0, len(data), PIECE_SIZE):
        yield bytes(view[start : start + PIECE_SIZE])
