"""Peers that take or give so little that a connection is held for nothing, and too many peers."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_twisted
from support.attacked import attacked, rest_of, rests_of
from support.responding import make_command
from support.serving import write_certificate
from support.web import posted, requests, settings_first
from twisted.internet.threads import deferToThread

from wiredaemon.net.guard.output_room import PLENTY, SCARCE
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

MANY: Final = 30


async def endless(_: Any) -> AsyncIterator[bytes]:
    while True:
        yield bytes(32768)


COMMANDS: Final = [make_command(endless)]


def asking(kind: str) -> bytes:
    frames = settings_first() + requests("0006", b"endless")
    return posted("0006", "endless", frames) if kind.startswith("http") else frames


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@pytest_twisted.ensureDeferred
async def test_connections_that_never_begin_a_handshake(kind: str, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path, "localhost")
    limits = Limits(tls_handshake_seconds=0.2)
    async with attacked(kind, COMMANDS, certificate=certificate, limits=limits) as server:
        held = [server.connect() for _ in range(MANY)]
        assert await deferToThread(rests_of, held) == [b""] * MANY
        await server.until(0)
        assert server.guard.hits.counts == {"tls_handshake_seconds": MANY}


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
@pytest_twisted.ensureDeferred
async def test_readers_that_read_nothing(kind: str, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path, "localhost") if kind[-1] == "s" else None
    limits = Limits(answer_stalled_seconds=0.4)
    async with attacked(kind, COMMANDS, certificate=certificate, limits=limits) as server:
        for _ in range(5):
            (await server.connect_secure()).sendall(asking(kind))
        await server.until(5)
        await server.until(0)
        assert server.guard.hits.counts == {"answer_stalled_seconds": 5}


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
@pytest_twisted.ensureDeferred
async def test_many_readers_of_nothing_hold_little_together(kind: str, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path, "localhost") if kind[-1] == "s" else None
    limits = Limits(answer_stalled_seconds=1.0)
    largest = 0
    async with attacked(kind, COMMANDS, certificate=certificate, limits=limits) as server:
        for _ in range(MANY):
            (await server.connect_secure()).sendall(asking(kind))
        await server.until(MANY)
        while len(server.guard):
            largest = max(largest, server.guard.memory.size)
            await server.turn()
        assert server.guard.hits.counts == {"answer_stalled_seconds": MANY}
    # A few hold `output_high` until it is noticed, and the others a frame or two.
    assert PLENTY < largest < PLENTY + 4 * limits.output_high + MANY * 4 * SCARCE


def read_slowly(connected: socket.socket) -> None:
    try:
        while connected.recv(1):
            pass
    except ConnectionResetError:
        pass


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_readers_that_read_hardly_anything(kind: str) -> None:
    limits = Limits(answer_rate_seconds=0.4, answer_rate=10_000_000)
    async with attacked(kind, COMMANDS, limits=limits) as server:
        await deferToThread(read_slowly, server.connect(asking(kind)))
        await server.until(0)
        assert server.guard.hits.counts == {"answer_rate": 1}


@pytest.mark.parametrize(
    ("kind", "first", "limit"),
    [
        ("http", b"GET / HTT", "head_seconds"),
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", "head_seconds"),
        ("http", b"", "keep_alive_seconds"),
        ("hgrpc", b"\0", "frame_header_seconds"),
        ("hgrpc", asking("hgrpc")[:-1], "request_seconds"),
        ("hgrpc", b"", "raw_idle_seconds"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_peers_that_begin_and_do_not_go_on(kind: str, first: bytes, limit: str) -> None:
    limits = Limits(**dict.fromkeys([limit], 0.2))  # type: ignore[arg-type]
    async with attacked(kind, COMMANDS, limits=limits) as server:
        held = [server.connect(first) for _ in range(MANY)]
        ends = await deferToThread(rests_of, held)
        assert all((limit.encode() in end) is bool(first) for end in ends)
        assert server.guard.hits.counts == {limit: MANY}


@pytest_twisted.ensureDeferred
async def test_bodies_that_dribble() -> None:
    limits = Limits(body_rate_seconds=0.2, body_rate=1_000_000)
    async with attacked("http", COMMANDS, limits=limits) as server:
        held = [server.connect(asking("http")[:-1]) for _ in range(MANY)]
        ends = await deferToThread(rests_of, held)
        assert all(end.startswith(b"HTTP/1.1 408 ") for end in ends)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_more_connections_than_there_may_be(kind: str) -> None:
    async with attacked(kind, COMMANDS, limits=Limits(connections=5)) as server:
        kept = [server.connect() for _ in range(5)]
        await server.until(5)
        more = await deferToThread(lambda: [server.connect() for _ in range(60)])
        ends = await deferToThread(rests_of, more)
        assert all(b"(connections)" in end for end in ends)
        assert server.guard.hits.counts == {"connections": 60}
        for each in more:
            each.close()
        kept[0].sendall(asking(kind))
        assert await deferToThread(kept[0].recv, 1)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_one_address_behind_a_proxy_takes_no_more_than_its_share(kind: str) -> None:
    def header(host: bytes) -> bytes:
        return b"PROXY TCP4 %s 192.0.2.1 5 6\r\n" % host

    limits = Limits(connections_per_address=2)
    async with attacked(kind, COMMANDS, proxied=True, limits=limits) as server:
        for _ in range(2):
            server.connect(header(b"192.0.2.7") + b"G")
        more = server.connect(header(b"192.0.2.7") + asking(kind))
        assert b"(connections_per_address)" in await deferToThread(rest_of, more)
        other = server.connect(header(b"192.0.2.8") + asking(kind))
        assert await deferToThread(other.recv, 1)
