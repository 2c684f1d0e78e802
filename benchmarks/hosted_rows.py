"""The attacks of `benchmarks.attacks` on a repository: over version 1, and through its pages.

They come from eight addresses, as a proxy names them, or from one.
"""

from __future__ import annotations

import asyncio
import bz2
import contextlib
import struct
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from benchmarks.attack import PROXIED, Row, connect, drop_answers, send
from benchmarks.hosted import AUTHORIZATION, LONG_PATH

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from benchmarks.attack import Target

_MIB: Final = 1 << 20
_LARGE_BUFFER: Final = 1 << 16
_SECOND: Final = 1.0
_ADDRESSES: Final = 8
"""With 400 connections, 50 from each: fewer than one address may have."""
_ARGUMENTS: Final = 4 * _MIB - 100
_BOMB: Final = 1024 * _MIB
_PIECE: Final = _MIB
_FORCED: Final = b"666f726365"
"""The heads that a push expects: "force", in hexadecimal digits."""
_NEVER: Final = 'removes("glob:**") and modifies("glob:**") and adds("glob:**") and desc("%d")'
"""A search that compares the manifests of all changesets, and finds none."""
_SEARCH: Final = quote(" or ".join(_NEVER % number for number in range(20)))


def head(method: bytes, path: bytes, headers: Mapping[bytes, bytes] | None = None) -> bytes:
    """Return the head of a request over HTTP."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: localhost"]
    lines += [b"%s: %s" % item for item in (headers or {}).items()]
    return b"\r\n".join([*lines, b"", b""])


async def connect_from(
    number: int, target: Target, *, buffer: int = _LARGE_BUFFER
) -> socket.socket:
    """Connect from one of many addresses."""
    connection = await connect(target, "http", PROXIED, buffer=buffer)
    await send(connection, b"PROXY TCP4 203.0.113.%d 192.0.2.1 1000 80\r\n" % (number + 1))
    return connection


def from_each(
    count: int, one: Callable[[socket.socket], Awaitable[None]], addresses: int = _ADDRESSES
) -> Callable[[Target], Awaitable[None]]:
    """Do the same on many connections at once, until each has ended."""

    async def on(number: int, target: Target) -> None:
        with contextlib.suppress(OSError):
            connection = await connect_from(number % addresses, target)
            await one(connection)
            connection.close()

    async def run(target: Target) -> None:
        await asyncio.gather(*(on(number, target) for number in range(count)))

    return run


# --- bodies ----------------------------------------------------------------------------------


def arguments_in_bodies(*, whole: bool) -> Callable[[Target], Awaitable[None]]:
    """400 bodies with the arguments of a command; each but for its last octet, or whole."""
    size = b"%d" % _ARGUMENTS
    first = head(b"POST", b"/?cmd=known", {b"X-HgArgs-Post": size, b"Content-Length": size})
    nodes = b"nodes=" + b"0123456789abcdef0123456789abcdef01234567+" * (_ARGUMENTS // 41 + 1)
    body = nodes[: _ARGUMENTS if whole else _ARGUMENTS - 1]

    async def one(connection: socket.socket) -> None:
        reading = asyncio.ensure_future(drop_answers(connection))
        with contextlib.suppress(OSError):
            await send(connection, first + body)
        await reading

    return from_each(400, one)


def dribbled_pushes(headers: Mapping[bytes, bytes]) -> Callable[[Target], Awaitable[None]]:
    """100 pushes whose bodies come by an octet a second."""
    first = push_head(100_000, headers) + b"HG10UN"

    async def one(connection: socket.socket) -> None:
        reading = asyncio.ensure_future(drop_answers(connection))
        with contextlib.suppress(OSError):
            await send(connection, first)
            while not reading.done():
                await send(connection, b"\0")
                await asyncio.sleep(_SECOND)
        await reading

    return from_each(100, one)


def push_head(size: int, headers: Mapping[bytes, bytes]) -> bytes:
    """Return the head of a push of so many octets."""
    fields = {
        b"Content-Type": b"application/mercurial-0.1",
        b"X-HgArg-1": b"heads=" + _FORCED,
        b"Content-Length": b"%d" % size,
    }
    return head(b"POST", b"/?cmd=unbundle", {**fields, **headers})


def changegroup(size: int) -> Iterator[bytes]:
    """Yield a changegroup of one changeset, whose text is so many zeros, and of no files."""
    nothing = bytes(20)
    node = b"\1" * 20
    # Lengths count themselves; a delta replaces nothing by all that follows it.
    delta = struct.pack(">lll", 0, 0, size)
    yield struct.pack(">l", 4 + 80 + len(delta) + size) + node + nothing + nothing + node + delta
    for _ in range(size // _PIECE):
        yield bytes(_PIECE)
    yield struct.pack(">lll", 0, 0, 0)


def bomb(kind: str, size: int = _BOMB) -> bytes:
    """Return a bundle of some kilobytes, of a changeset of so many bytes."""
    # Mercurial leaves out the first two octets of bz2, which the head of the bundle has.
    encoder = bz2.BZ2Compressor() if kind == "BZ" else zlib.compressobj()
    content = b"".join([*map(encoder.compress, changegroup(size)), encoder.flush()])
    return b"HG10" + (content if kind == "BZ" else b"GZ" + content)


def pushed_bombs(kind: str) -> Callable[[Target], Awaitable[None]]:
    """Four such pushes at once, over and over."""

    async def run(target: Target) -> None:
        bundle = await asyncio.to_thread(bomb, kind)
        asked = push_head(len(bundle), {b"Authorization": AUTHORIZATION}) + bundle
        await repeated(asked, 4)(target)

    return run


# --- answers ---------------------------------------------------------------------------------


def slow_readers(path: bytes) -> Callable[[Target], Awaitable[None]]:
    """200 readers, who take 1 KiB a second."""

    async def run(target: Target) -> None:
        loop = asyncio.get_running_loop()

        async def one(number: int) -> None:
            with contextlib.suppress(OSError):
                connection = await connect_from(number % _ADDRESSES, target, buffer=4096)
                await send(connection, head(b"GET", path))
                while await loop.sock_recv(connection, 1024):  # noqa: ASYNC110 it reads slowly
                    await asyncio.sleep(_SECOND)

        await asyncio.gather(*map(one, range(200)))

    return run


def repeated(
    asked: bytes, count: int, addresses: int = _ADDRESSES
) -> Callable[[Target], Awaitable[None]]:
    """Ask on many connections, and again behind each answer or refusal."""

    async def run(target: Target) -> None:
        async def one(number: int) -> None:
            while True:
                with contextlib.suppress(OSError):
                    connection = await connect_from(number % addresses, target)
                    reading = asyncio.ensure_future(drop_answers(connection))
                    with contextlib.suppress(OSError):
                        await send(connection, asked)
                    await reading
                    connection.close()
                # Refused ones would otherwise measure how fast this program can connect.
                await asyncio.sleep(_SECOND / 10)

        await asyncio.gather(*map(one, range(count)))

    return run


_CLOSE: Final = {b"Connection": b"close"}
_SEARCHED: Final = head(b"GET", b"/log?rev=" + _SEARCH.encode(), _CLOSE)
_ANNOTATED: Final = head(b"GET", b"/annotate/tip/" + quote(LONG_PATH).encode(), _CLOSE)

HOSTED_ROWS: Final = tuple(
    Row(name=name, run=run, deadline=deadline, needs_repository=True)
    for name, run, deadline in (
        ("400 argument bodies of 4 MiB, unended", arguments_in_bodies(whole=False), None),
        ("400 argument bodies of 4 MiB, whole", arguments_in_bodies(whole=True), None),
        ("200 slow readers of getbundle", slow_readers(b"/?cmd=getbundle"), None),
        ("200 slow readers of stream_out", slow_readers(b"/?cmd=stream_out"), None),
        ("200 slow readers of an archive, tar.gz", slow_readers(b"/archive/tip.tar.gz"), None),
        ("200 slow readers of an archive, zip", slow_readers(b"/archive/tip.zip"), None),
        ("100 pushes dribbled", dribbled_pushes({b"Authorization": AUTHORIZATION}), 45),
        ("100 pushes dribbled, without password", dribbled_pushes({}), 45),
        ("8 costly searches, 1 address", repeated(_SEARCHED, 8, 1), None),
        ("8 costly searches, 8 addresses", repeated(_SEARCHED, 8), None),
        ("40 annotates, 1 address", repeated(_ANNOTATED, 40, 1), None),
        ("40 annotates, 8 addresses", repeated(_ANNOTATED, 40), None),
        ("bundle bombs of bzip2 pushed", pushed_bombs("BZ"), None),
        ("bundle bombs of zlib pushed", pushed_bombs("GZ"), None),
    )
)
"""The attacks that need a repository."""
