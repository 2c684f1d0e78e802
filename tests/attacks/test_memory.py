"""Peers that make the server hold as much as they can, and never go on."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

from socket import SHUT_WR
from typing import Final

import pytest
import pytest_twisted
from support.attacked import attacked, rests_of
from support.peers import frame
from support.responding import make_command
from support.web import posted
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
        await server.until(0)
