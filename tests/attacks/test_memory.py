"""Peers that make the server hold as much as they can, and never go on."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

from socket import SHUT_WR
from typing import Final

import pytest
import pytest_twisted
from support.attacked import attacked, rest_of, rests_of
from support.peers import frame, item, map_frames
from support.responding import make_command
from support.web import posted, settings_first
from twisted.internet.threads import deferToThread

from wiredaemon.wire.limits import Limits

MIB: Final = 1024 * 1024
LIMITS: Final = Limits(request_bytes=MIB, request_size=MIB // 2)


def nothing(_: object) -> bytes:
    return b""


def half_open(kind: str) -> bytes:
    """15 requests, each shorter than one may be, together longer than all may be; none complete."""
    new, more = 0x05, 0x06
    frames = [frame(1, new, b"x", request_id=number) for number in range(1, 16)]
    # No more than is read behind an error, so that the peer gets it.
    frames += [frame(1, more, bytes(32768), request_id=number % 15 + 1) for number in range(34)]
    body = b"".join(frames)
    return posted("0006", "nothing", body) if kind == "http" else body


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_half_open_requests_that_fill_the_memory(kind: str) -> None:
    async with attacked(kind, [make_command(nothing)], limits=LIMITS) as server:

        def attack() -> list[bytes]:
            held = [server.connect() for _ in range(4)]
            for each in held:
                each.sendall(half_open(kind))
                each.shutdown(SHUT_WR)
            return rests_of(held)

        ends = await deferToThread(attack)
        assert all(b"1048576 bytes (request_bytes)" in end for end in ends)
        assert server.guard.hits.counts == {"request_bytes": 4}
        await server.until(0)


def unfinished(kind: str, size: int) -> bytes:
    """A request that goes on, of some bytes in frames of 32 KiB."""
    new, more = 0x05, 0x06
    frames = [frame(1, new, b"x")] + [frame(1, more, bytes(32768))] * (size // 32768)
    body = b"".join(frames)
    if kind == "hgrpc":
        return body
    head = posted("0006", "nothing", b"").replace(b"Content-Length: 0", b"Content-Length: 9999999")
    assert b"9999999" in head
    return head + body


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_of_many_half_open_requests_the_largest_is_refused(kind: str) -> None:
    limits = Limits(unfinished_bytes=MIB)
    async with attacked(kind, [make_command(nothing)], limits=limits) as server:
        small = server.connect(unfinished(kind, MIB // 4))
        await server.until(1)
        large = await deferToThread(server.connect, unfinished(kind, MIB * 13 // 16))
        end = await deferToThread(rest_of, large)
        assert b"1048576 bytes for all peers (unfinished_bytes); try again in 10 s" in end
        assert (b"Retry-After: 10" in end) is (kind == "http")
        assert server.guard.hits.counts["unfinished_bytes"] == 1
        small.settimeout(0)
        with pytest.raises(BlockingIOError):
            small.recv(1)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_what_grows_beyond_the_memory_of_all_peers_is_refused(kind: str) -> None:
    limits = Limits(held_memory=MIB)
    async with attacked(kind, [make_command(nothing)], limits=limits) as server:
        for count in (1, 2):
            server.connect(unfinished(kind, MIB // 2 - 65536))
            await server.until_holding(count * (MIB // 2 - 131072))
        # No more than is read behind an error.
        more = [server.connect(unfinished(kind, 98304)) for _ in range(2)]
        end = b"".join(await deferToThread(rests_of, more[1:]))
        assert b"1048576 bytes for all peers (held_memory)" in end
        assert server.guard.memory.size <= 1.2 * MIB


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest_twisted.ensureDeferred
async def test_of_answers_that_fill_the_memory_the_largest_are_cut_off(kind: str) -> None:
    limits = Limits(held_memory=MIB)

    def much(_: object) -> bytes:
        return bytes(16 * MIB)

    content = item({b"name": b"much"}, canonical=False)
    frames = b"".join(map_frames("0006", 1, content))
    asked = posted("0006", "much", settings_first() + frames) if kind == "http" else frames
    async with attacked(kind, [make_command(much)], limits=limits) as server:
        held = server.connect(asked)
        await server.until_hit("held_memory")
        await server.until(0)
        assert len(await deferToThread(rest_of, held)) < 16 * MIB
        assert server.guard.hits.counts == {"held_memory": 1}
        assert server.guard.memory.size == 0
