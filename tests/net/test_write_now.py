"""Writing at once, on real sockets: order, partial sends, peers that leave, other transports.

The writer is a real transport of the reactor, the reader a plain socket: what the kernel was given
can be read from it without a turn of the reactor.
"""

from __future__ import annotations

import random
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import ensure_deferred
from support.serving import listening
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from wiredaemon.net.twisted_internals import unsent_output
from wiredaemon.net.write_now import bound_unsent, pause_for_peer, write_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from twisted.python.failure import Failure

KIB: Final = 1024
DEADLINE: Final = 20.0
LINGER: Final = struct.pack("ii", 1, 0)
"""Closing resets the connection."""


def some_bytes(size: int) -> bytes:
    """Bytes of which no two places look alike; the same ones each time."""
    return random.Random(size).randbytes(size)  # noqa: S311 no secret


class Ends:
    """The two ends of a connection."""

    def __init__(self, transport: Any, reader: socket.socket, lost: Deferred[None]) -> None:
        self.transport = transport
        self.reader = reader
        self.lost = lost
        """Fires when the writer has noticed that the connection is gone."""

    def read_now(self, size: int) -> bytes:
        """Read what the kernel has, without a turn of the reactor."""
        self.reader.settimeout(0)
        try:
            return self.reader.recv(size)
        finally:
            self.reader.settimeout(DEADLINE)

    async def read(self, size: int) -> bytes:
        """Read so many bytes while the reactor turns."""
        data: bytes = await deferToThread(_read_exactly, self.reader, size)
        return data

    async def read_to_end(self) -> bytes:
        """Read until the writer has closed."""
        data: bytes = await deferToThread(_read_exactly, self.reader, None)
        return data


def _read_exactly(reader: socket.socket, size: int | None) -> bytes:
    data = bytearray()
    while size is None or len(data) < size:
        piece = reader.recv(64 * KIB if size is None else size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


class _Writer(Protocol):
    def __init__(self, made: Deferred[Any], lost: Deferred[None]) -> None:
        self._made = made
        self._lost = lost

    def connectionMade(self) -> None:
        self._made.callback(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 Twisted's signature
        self._lost.callback(None)


@asynccontextmanager
async def connected(*, small_buffers: bool = False) -> AsyncIterator[Ends]:
    """Connect over loopback; small buffers of the kernel make it refuse early."""
    made: Deferred[Any] = Deferred()
    lost: Deferred[None] = Deferred()
    async with listening(Factory.forProtocol(lambda: _Writer(made, lost))) as port:
        reader = socket.socket()
        reader.settimeout(DEADLINE)
        if small_buffers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        reader.connect(("127.0.0.1", port))
        transport = await made
        if small_buffers:
            transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
        try:
            yield Ends(transport, reader, lost)
        finally:
            reader.close()
            transport.abortConnection()
            await lost


@ensure_deferred
async def test_what_the_kernel_did_not_take_stays_under_the_names_that_we_lean_on() -> None:
    async with connected(small_buffers=True) as ends:
        transport = ends.transport
        transport.write(bytes(4096 * KIB))
        transport.doWrite()
        assert transport._tempDataBuffer == []
        assert len(transport.dataBuffer) == 4096 * KIB
        assert 0 < transport.offset < 4096 * KIB


@ensure_deferred
async def test_a_transport_that_closes_says_so_under_the_names_that_we_lean_on() -> None:
    async with connected() as ends:
        ends.transport.loseWriteConnection()
        assert ends.transport._writeDisconnecting
        assert not ends.transport._writeDisconnected
        assert await ends.read_to_end() == b""
        assert ends.transport._writeDisconnected
        ends.transport.loseConnection()
        await ends.lost
        assert not ends.transport.connected
    async with connected() as ends:
        ends.transport.loseConnection()
        assert ends.transport.disconnecting


# --- what goes out --------------------------------------------------------------------------------


@ensure_deferred
@pytest.mark.parametrize(
    "parts",
    [
        [b"one"],
        [b"one", b"two", b"three"],
        [b"", b"one", b"", b"two", b""],
        [some_bytes(16384)],
        [some_bytes(16385)],
        [some_bytes(8), some_bytes(16384), some_bytes(8), b"end"],
        [b"%d" % number for number in range(600)],
    ],
    ids=["one", "three", "empty", "joined", "large", "frames", "many"],
)
async def test_parts_are_with_the_kernel_before_the_reactor_turns(parts: list[bytes]) -> None:
    async with connected() as ends:
        write_now(ends.transport, parts)
        assert ends.transport._tempDataBuffer == []
        assert ends.read_now(64 * KIB) == b"".join(parts)


@ensure_deferred
@pytest.mark.parametrize("parts", [[], [b""], [b"", b""]], ids=["none", "empty", "two empty"])
async def test_nothing_to_write_writes_nothing(parts: list[bytes]) -> None:
    async with connected() as ends:
        write_now(ends.transport, parts)
        write_now(ends.transport, [b"behind"])
        assert ends.read_now(100) == b"behind"


@ensure_deferred
async def test_parts_come_behind_what_the_transport_has_yet_to_send() -> None:
    async with connected() as ends:
        write_now(ends.transport, [b"a"])
        ends.transport.write(b"b")
        write_now(ends.transport, [b"c", b"d"])
        ends.transport.writeSequence([b"e", b"f"])
        write_now(ends.transport, [some_bytes(20_000)])
        assert ends.read_now(100) == b"a"
        assert await ends.read(20_005) == b"bcdef" + some_bytes(20_000)
        write_now(ends.transport, [b"g"])
        assert ends.read_now(100) == b"g"


@ensure_deferred
@pytest.mark.parametrize(
    "sizes",
    [
        [4096 * KIB],
        [64 * KIB] * 40,
        [8, 32 * KIB] * 60,
        [1, 100_000, 0, 3, 500_000, 7, 1_000_000],
        [1000] * 1025,
        [3000] * 512,
        [3000] * 513,
    ],
    ids=["one", "equal", "frames", "unequal", "1025 parts", "512 parts", "513 parts"],
)
async def test_a_slow_reader_gets_every_byte_of_what_the_kernel_took_only_a_part_of(
    sizes: list[int],
) -> None:
    whole = some_bytes(sum(sizes))
    parts, start = [], 0
    for size in sizes:
        parts.append(whole[start : start + size])
        start += size
    async with connected(small_buffers=True) as ends:
        write_now(ends.transport, parts)
        kept = sum(map(len, ends.transport._tempDataBuffer))
        assert 0 < kept < len(whole), "the kernel took a part"
        write_now(ends.transport, [b"behind", b" it"])
        ends.transport.write(b" all")
        assert await ends.read(len(whole) + 13) == whole + b"behind it all"


@implementer(IPushProducer)
class _Producer:
    """Notes when it is paused and resumed."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.resumed: Deferred[None] = Deferred()

    def pauseProducing(self) -> None:
        self.notes.append("pause")

    def resumeProducing(self) -> None:
        self.notes.append("resume")
        self.resumed.callback(None)

    def stopProducing(self) -> None:
        self.notes.append("stop")


@ensure_deferred
async def test_a_producer_is_paused_when_the_kernel_takes_no_more_and_resumed_when_it_does() -> (
    None
):
    async with connected(small_buffers=True) as ends:
        producer = _Producer()
        ends.transport.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature
        write_now(ends.transport, [b"small"])
        assert producer.notes == []
        large = some_bytes(4096 * KIB)
        write_now(ends.transport, [large])
        assert producer.notes == ["pause"]
        assert await ends.read(5 + len(large)) == b"small" + large
        await producer.resumed
        assert producer.notes == ["pause", "resume"]
        ends.transport.unregisterProducer()


@ensure_deferred
async def test_a_producer_is_paused_for_any_output_that_waits_where_that_is_asked() -> None:
    async with connected(small_buffers=True) as ends:
        producer = _Producer()
        ends.transport.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature
        filling = 0
        while not producer.notes:
            write_now(ends.transport, [bytes(1000)])
            filling += 1000
            pause_for_peer(ends.transport)
        # Much less than Twisted lets wait before it pauses a producer.
        assert 0 < unsent_output(ends.transport) <= 1000
        pause_for_peer(ends.transport)
        assert producer.notes == ["pause"]
        assert len(await ends.read(filling)) == filling
        await producer.resumed
        pause_for_peer(ends.transport)
        assert producer.notes == ["pause", "resume"]
        ends.transport.unregisterProducer()


def test_transports_without_a_socket_are_never_paused() -> None:
    transport = StringTransport()
    producer = _Producer()
    transport.registerProducer(producer, streaming=True)
    transport.write(b"some")
    pause_for_peer(transport)
    assert producer.notes == []


# --- the end --------------------------------------------------------------------------------------


@ensure_deferred
@pytest.mark.parametrize("size", [5, 100_000])
async def test_a_peer_that_has_gone_is_found_out_by_the_transport(size: int) -> None:
    async with connected() as ends:
        ends.reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        ends.reader.close()
        write_now(ends.transport, [bytes(size)])
        write_now(ends.transport, [bytes(size)])
        await ends.lost
        kept = list(ends.transport._tempDataBuffer)
        write_now(ends.transport, [bytes(size)])
        assert ends.transport._tempDataBuffer == kept


@ensure_deferred
async def test_what_was_written_before_a_transport_is_closed_arrives() -> None:
    async with connected(small_buffers=True) as ends:
        large = some_bytes(1024 * KIB)
        write_now(ends.transport, [b"before", large])
        ends.transport.loseConnection()
        assert await ends.read_to_end() == b"before" + large


@ensure_deferred
@pytest.mark.parametrize("half", [True, False], ids=["half", "whole"])
async def test_nothing_is_written_behind_a_closed_transport(*, half: bool) -> None:
    async with connected() as ends:
        write_now(ends.transport, [b"before"])
        if half:
            ends.transport.loseWriteConnection()
        else:
            ends.transport.loseConnection()
        assert await ends.read_to_end() == b"before"
        write_now(ends.transport, [b"behind"])
        assert not ends.transport._tempDataBuffer
        if not half:
            await ends.lost


# --- other transports -----------------------------------------------------------------------------


def test_a_transport_that_is_no_socket_is_written_to_as_ever() -> None:
    transport = StringTransport()
    write_now(transport, [b"one", b"two"])
    write_now(transport, [some_bytes(20_000), b"end"])
    assert transport.value() == b"onetwo" + some_bytes(20_000) + b"end"


@ensure_deferred
async def test_a_unix_socket_is_written_to_as_ever(tmp_path: Path) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    made: Deferred[Any] = Deferred()
    lost: Deferred[None] = Deferred()
    anywhere: Any = reactor
    path = str(tmp_path / "socket")
    port = anywhere.listenUNIX(path, Factory.forProtocol(lambda: _Writer(made, lost)))
    try:
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(DEADLINE)
            reader.connect(path)
            ends = Ends(await made, reader, lost)
            parts = [b"one", some_bytes(300_000), b"two"]
            write_now(ends.transport, parts)
            write_now(ends.transport, [b"three"])
            assert await ends.read(300_011) == b"".join(parts) + b"three"
        await lost
    finally:
        await port.stopListening()


class _SubServer(Server):
    """Has its own ways to write, perhaps."""


@ensure_deferred
async def test_a_subclass_of_the_transport_is_written_to_as_ever() -> None:
    async with connected() as ends:
        ends.transport.__class__ = _SubServer
        write_now(ends.transport, [b"one", b"two"])
        assert b"".join(ends.transport._tempDataBuffer) == b"onetwo"
        assert await ends.read(6) == b"onetwo"


def _fill(transport: Any) -> int:
    """Write until the system takes no more; return how much it took."""
    taken = 0
    while True:
        try:
            taken += transport.socket.send(bytes(32 * KIB))
        except BlockingIOError:
            return taken


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such bound")
@ensure_deferred
async def test_the_system_takes_little_that_it_does_not_send_where_that_is_asked() -> None:
    async with connected() as ends:
        by_itself = _fill(ends.transport)
    async with connected() as ends:
        bound_unsent(ends.transport)
        bounded = _fill(ends.transport)
    assert bounded < by_itself / 2


def test_transports_without_a_socket_of_tcp_are_left_as_they_are() -> None:
    bound_unsent(StringTransport())
