"""Reads that hold so much work that all of it at once would keep the server from everybody else."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_twisted
from support.attacked import attacked
from support.peers import frame, item, map_frames
from support.responding import make_command
from support.web import posted, settings_first
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from wiredaemon.net.guard.turns import SECONDS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    import socket

REQUESTS: Final = 1000
WORK: Final = 0.001
"""Seconds of the reactor that a request takes."""
SERVED: list[float] = []


def busy(_: Any) -> bytes:
    end = perf_counter() + WORK
    while perf_counter() < end:
        pass
    SERVED.append(end)
    return b"x"


def slow(_: Any) -> bytes:
    """Take longer than a turn, so that the answer comes in a later one."""
    end = perf_counter() + SECONDS * 1.1
    while perf_counter() < end:
        pass
    SERVED.append(end)
    return b"x"


def pipelined(kind: str, name: str = "busy") -> bytes:
    content = item({b"name": name.encode()}, canonical=False)
    if kind == "hgrpc":
        return b"".join(
            frame for number in range(REQUESTS) for frame in map_frames("0006", number, content)
        )
    body = settings_first() + b"".join(map_frames("0006", 1, content))
    return posted("0006", name, body) * REQUESTS


def read_answers(connected: socket.socket, count: int = REQUESTS) -> bytes:
    """Read until so much is served and nothing more comes."""
    connected.settimeout(0.5)
    is_open, content = True, b""
    while is_open:
        try:
            data = connected.recv(1 << 20)
        except TimeoutError:
            is_open = len(SERVED) < count
        else:
            is_open = bool(data)
            content += data
    return content


async def longest_step(most: int = REQUESTS) -> float:
    """The longest time between two turns of the reactor, until so much is served."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    longest, before = 0.0, perf_counter()
    while len(SERVED) < most:
        turn: Deferred[None] = Deferred()
        anywhere.callLater(0, turn.callback, None)
        await turn
        now = perf_counter()
        longest, before = max(longest, now - before), now
    return longest


@pytest.mark.parametrize("kind", ["hgrpc", "http"])
@pytest_twisted.ensureDeferred
async def test_cheap_requests_pipelined_in_one_write(kind: str) -> None:
    SERVED.clear()
    async with attacked(kind, [make_command(busy)], limits=Limits()) as server:
        connected = server.connect()
        await server.until(1)
        sending = deferToThread(connected.sendall, pipelined(kind))
        reading = deferToThread(read_answers, connected)
        # All at once they take more than a second; half of it leaves room for a busy machine.
        assert await longest_step() < REQUESTS * WORK / 2
        await sending
        await reading


@pytest_twisted.ensureDeferred
async def test_requests_that_are_answered_later_keep_their_order() -> None:
    # What waited for a turn came in front of what had waited behind a request: the bytes of
    # requests were mixed, and the connection ended.
    SERVED.clear()
    count = 60
    async with attacked("http", [make_command(slow)], limits=Limits()) as server:
        connected = server.connect()
        await server.until(1)
        content = pipelined("http", "slow")
        sent = deferToThread(connected.sendall, content[: len(content) * count // REQUESTS])
        reading = deferToThread(read_answers, connected, count)
        await longest_step(count)
        await sent
        answers = await reading
    assert answers.count(b"HTTP/1.1 200 OK") == count


async def busy_with_data(context: Any) -> bytes:
    async for _ in context.data:
        busy(context)
    return b"x"


@pytest_twisted.ensureDeferred
async def test_pieces_of_data_in_one_write() -> None:
    SERVED.clear()
    begin = frame(1, 0x09, item({b"name": b"busy_with_data"}, canonical=False), stream_flags=1)
    # Pieces that are not joined with others.
    content = begin + frame(2, 0x01, b"x" * 64) * REQUESTS
    command = make_command(busy_with_data, has_data=True)
    limits = Limits(buffered_data=8)
    async with attacked("hgrpc", [command], limits=limits) as server:
        connected = server.connect()
        await server.until(1)
        sending = deferToThread(connected.sendall, content)
        assert await longest_step() < REQUESTS * WORK / 2
        await sending
