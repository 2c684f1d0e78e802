"""The attacks of `benchmarks.attacks` that need no repository: what strangers may send."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
from functools import cache
from typing import TYPE_CHECKING, Final

from benchmarks.attack import Row, connect, drop_answers, on_each, send
from benchmarks.frames import COMMAND_DATA, request_content, whole_request
from benchmarks.wire import COMMAND_REQUEST, NEW, STREAM_BEGIN, frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from benchmarks.attack import Target
    from benchmarks.frames import Value

_MORE: Final = 0x04
_CONTINUATION: Final = 0x02
"""Flags of request frames. Source: framing, section 5.2."""
_PAYLOAD: Final = 32768
_SECOND: Final = 1.0
_NO_FAREWELL: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset."""
_SMALL_BUFFER: Final = 4096
_MIB: Final = 1 << 20
_IDS: Final = range(1, 1 << 16, 2)


def parts_of(request_id: int, name: bytes, arguments: Mapping[bytes, Value]) -> list[bytes]:
    """Return a request in frames of 32 KiB; the first begins the stream."""
    content = request_content(name, arguments)
    cuts = range(0, len(content), _PAYLOAD)
    frames = []
    for start in cuts:
        flags = NEW if start == 0 else _CONTINUATION
        flags |= _MORE if start + _PAYLOAD < len(content) else 0
        stream = STREAM_BEGIN if request_id == 1 and start == 0 else 0
        payload = content[start : start + _PAYLOAD]
        frames.append(frame(request_id, (stream, flags), COMMAND_REQUEST, payload))
    return frames


def requests_of(name: bytes) -> Iterator[bytes]:
    """Yield pieces of an endless stream of small requests; ids come again after 32,768."""
    yield whole_request(_IDS[-1], name, {})
    yield from itertools.cycle(_pieces_of(name))


@cache
def _pieces_of(name: bytes) -> list[bytes]:
    return [
        b"".join(whole_request(number, name, {}, begins=False) for number in _IDS[start:end])
        for start, end in itertools.pairwise(range(0, len(_IDS), 1024))
    ]


async def flood(connection: socket.socket, pieces: Iterator[bytes]) -> None:
    """Send pieces as fast as the server takes them, and read its answers."""
    reading = asyncio.ensure_future(drop_answers(connection))
    with contextlib.suppress(OSError):
        for piece in pieces:
            await send(connection, piece)
            await asyncio.sleep(0)
    await reading


# --- requests --------------------------------------------------------------------------------


def pipelined(name: bytes, dialect: str, connections: int) -> Callable[[Target], Awaitable[None]]:
    """Requests one behind the other, without waiting for answers."""

    async def run(target: Target) -> None:
        async def one() -> None:
            await flood(await connect(target, "framed", dialect), requests_of(name))

        await on_each(connections, one)

    return run


async def many_elements(target: Target) -> None:
    """Requests of as many CBOR items as may be: empty lists, one octet each."""
    lists: list[Value] = [[]] * 129_900
    frames = parts_of(1, b"echo", {b"data": lists})
    connection = await connect(target, "framed")
    with contextlib.suppress(OSError):
        await send(connection, b"".join(frames))
    await drop_answers(connection)


async def many_elements_at_once(target: Target) -> None:
    """Sixteen such requests, completed in one write."""
    lists: list[Value] = [[]] * 129_900
    whole = [parts_of(number, b"echo", {b"data": lists}) for number in range(1, 33, 2)]
    connection = await connect(target, "framed")
    with contextlib.suppress(OSError):
        await send(connection, b"".join(b"".join(frames[:-1]) for frames in whole))
        await send(connection, b"".join(frames[-1] for frames in whole))
    await drop_answers(connection)


async def large_arguments(target: Target) -> None:
    """Eight requests of 4 MiB, lists of as many strings as may be."""
    nodes: list[Value] = [bytes(30)] * 129_900
    data = b"".join(
        b"".join(parts_of(number, b"known", {b"nodes": nodes})) for number in range(1, 17, 2)
    )
    await flood(await connect(target, "framed"), iter([data]))


def half_open(listener: str, connections: int) -> Callable[[Target], Awaitable[None]]:
    """Sixteen requests of 4 MiB on each connection, none of them complete."""

    async def run(target: Target) -> None:
        filler: Value = bytes(4 * _MIB - 1000)
        whole = [parts_of(number, b"echo", {b"data": filler}) for number in range(1, 33, 2)]
        data = b"".join(b"".join(frames[:-1]) for frames in whole)
        head = http_head("multirequest", {"Transfer-Encoding": "chunked"})

        async def one() -> None:
            connection = await connect(target, listener)
            with contextlib.suppress(OSError):
                if listener == "http":
                    await send(connection, head + b"%x\r\n" % len(data))
                await send(connection, data)
            await drop_answers(connection)

        await on_each(connections, one)

    return run


async def tiny_data(target: Target) -> None:
    """Command data, one octet in each frame."""
    connection = await connect(target, "framed")
    begin = whole_request(1, b"measure", {}, has_data=True)
    octets = frame(1, (0, 0x01), COMMAND_DATA["0003"], b"x") * 10_000
    await flood(connection, itertools.chain([begin], itertools.repeat(octets)))


async def open_and_abort(target: Target) -> None:
    """Connections that send a request and are reset at once."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                connection = await connect(target, "framed")
                await send(connection, whole_request(1, b"turn", {b"data": b"x"}))
                option = (socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
                connection.setsockopt(*option)
                connection.close()
            await asyncio.sleep(0)

    await on_each(1000, one)


# --- slow peers ------------------------------------------------------------------------------


def http_head(command: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a framed request over HTTP."""
    media = "application/mercurial-exp-framing-0003"
    lines = [
        f"POST /api/exp-http-v2-0001/ro/{command} HTTP/1.1",
        "Host: localhost",
        f"Accept: {media}",
        f"Content-Type: {media}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def dribbled(listener: str, first: bytes, rest: bytes) -> Callable[[Target], Awaitable[None]]:
    """100 connections that send the first part at once and the rest by an octet a second."""

    async def run(target: Target) -> None:
        async def one() -> None:
            connection = await connect(target, listener)
            reading = asyncio.ensure_future(drop_answers(connection))
            with contextlib.suppress(OSError):
                await send(connection, first)
                for octet in rest:
                    if reading.done():
                        break
                    await send(connection, bytes([octet]))
                    await asyncio.sleep(_SECOND)
            await reading
            connection.close()

        await on_each(100, one)

    return run


def silent(
    listener: str, connections: int, first: bytes = b""
) -> Callable[[Target], Awaitable[None]]:
    """Connections that say something first, or nothing, and then no more."""

    async def run(target: Target) -> None:
        async def one() -> None:
            connection = await connect(target, listener)
            with contextlib.suppress(OSError):
                await send(connection, first)
            await drop_answers(connection)
            connection.close()

        await on_each(connections, one)

    return run


def slow_readers(listener: str, count: int, octets: int) -> Callable[[Target], Awaitable[None]]:
    """Readers of a large answer, who take so many octets a second, or none at all."""
    arguments: dict[bytes, Value] = {b"data": bytes(1024), b"count": 100_000}
    request = whole_request(1, b"several", arguments)

    async def run(target: Target) -> None:
        loop = asyncio.get_running_loop()

        async def one() -> None:
            connection = await connect(target, listener)
            with contextlib.suppress(OSError):
                if listener == "http":
                    length = {"Content-Length": str(len(request))}
                    await send(connection, http_head("several", length))
                await send(connection, request)
                while True:
                    await asyncio.sleep(_SECOND)
                    # Without reading, the end shows only as an error of the socket.
                    if not octets and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                        return
                    if octets and not await loop.sock_recv(connection, octets):
                        return

        await on_each(count, one)

    return run


async def slow_tls_readers(target: Target) -> None:
    """200 readers over TLS, who take 1 KiB a second."""
    context = ssl.create_default_context(cafile=target.certificate)
    arguments: dict[bytes, Value] = {b"data": bytes(1024), b"count": 100_000}
    request = whole_request(1, b"several", arguments)

    async def one() -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", target.ports["framed_tls", "0003"], ssl=context, limit=_SMALL_BUFFER
        )
        with contextlib.suppress(OSError):
            writer.write(request)
            while await reader.read(1024):  # noqa: ASYNC110 it reads slowly, and waits for nothing
                await asyncio.sleep(_SECOND)
        writer.close()

    await on_each(200, one)


_BODY: Final = http_head("echo", {"Content-Length": "100000"})
_CONTINUE: Final = http_head("echo", {"Content-Length": "100000", "Expect": "100-continue"})

ROWS: Final = (
    Row(name="unknown commands, 1 connection", run=pipelined(b"nothing", "0003", 1)),
    Row(name="unknown commands, 200 connections", run=pipelined(b"nothing", "0003", 200)),
    Row(name="capabilities, 1 connection", run=pipelined(b"capabilities", "0006", 1)),
    Row(name="capabilities, 200 connections", run=pipelined(b"capabilities", "0006", 200)),
    Row(name="129,900 empty lists", run=many_elements),
    Row(name="16 times 129,900 empty lists in one write", run=many_elements_at_once),
    Row(name="8 requests of 4 MiB of nodes", run=large_arguments),
    Row(name="half-open, 16 x 4 MiB, 20 raw connections", run=half_open("framed", 20)),
    Row(name="half-open, 16 x 4 MiB, 20 HTTP connections", run=half_open("http", 20)),
    Row(name="data frames of one octet", run=tiny_data),
    Row(name="open and abort, 1,000 connections", run=open_and_abort),
    Row(
        name="HTTP heads dribbled",
        run=dribbled("http", b"", bytes(100).replace(b"\0", b"G")),
        deadline=15,
    ),
    Row(name="HTTP bodies dribbled", run=dribbled("http", _BODY, bytes(100)), deadline=45),
    Row(name="frame headers dribbled", run=dribbled("framed", b"", bytes(100)), deadline=15),
    Row(name="300 TLS connections without ClientHello", run=silent("https", 300), deadline=30),
    Row(
        name="300 raw TLS connections without ClientHello",
        run=silent("framed_tls", 300),
        deadline=30,
    ),
    Row(name="100-continue and silence", run=silent("http", 100, _CONTINUE), deadline=45),
    Row(name="200 slow readers, raw", run=slow_readers("framed", 200, 1024)),
    Row(name="200 slow readers, HTTP", run=slow_readers("http", 200, 1024)),
    Row(name="200 slow readers, raw TLS", run=slow_tls_readers),
    Row(name="64 readers of nothing, raw", run=slow_readers("framed", 64, 0), deadline=90),
    Row(name="64 readers of nothing, HTTP", run=slow_readers("http", 64, 0), deadline=90),
)
"""All attacks that need no repository."""
