"""Many connections of our client with many calls each; some are cancelled, late, or cut off."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

from benchmarks.daemon import DEADLINE
from benchmarks.errors import BenchmarkError
from benchmarks.swarm import Counts
from wiredaemon.client import ClientError, ClientOptions, aio
from wiredaemon.client.errors import ConnectionLostError, DeadlineError
from wiredaemon.commands import CommandError, ServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.daemon import Daemon
    from wiredaemon.client import Call, Connection

_CONTENT: Final = 200
"""Most random bytes of one call's content."""
_MOST_OBJECTS: Final = 5
_CANCELLED: Final = 0.05
"""The share of calls that are given up, some while they run and some when they are answered."""
_LEAVING: Final = 0.0005
"""The share of calls behind which a connection is cut off, with all that is in flight on it."""
_LATE_SECONDS: Final = 0.05
"""The most seconds that a call of the command that never answers is given."""
_OPENED_TOGETHER: Final = 64
"""Connections that are opened at the same time: fewer than may wait for the daemon to accept."""
# One attempt: a call that is cut off must fail, and not be made once more unseen. All share
# one busy event loop, which takes its time to notice that it is connected.
_OPTIONS: Final = ClientOptions(retries=0, connect_seconds=2 * DEADLINE)


async def _value(connection: Connection, content: bytes, _: random.Random) -> bool:
    return bool(await connection.call("turn", {"data": content}) == content[::-1])


async def _echo(connection: Connection, content: bytes, _: random.Random) -> bool:
    return bool(await connection.call("echo", {"data": content}) == content)


async def _several(connection: Connection, content: bytes, chance: random.Random) -> bool:
    return await _numbered(connection, "several", content, chance)


async def _blocks(connection: Connection, content: bytes, chance: random.Random) -> bool:
    return await _numbered(connection, "blocks", content, chance)


async def _numbered(
    connection: Connection, command: str, content: bytes, chance: random.Random
) -> bool:
    count = chance.randint(1, _MOST_OBJECTS)
    async with connection.call(command, {"data": content, "count": count}) as call:
        return [each async for each in call] == [[number, content] for number in range(count)]


async def _block(connection: Connection, content: bytes, _: random.Random) -> bool:
    return bool(await connection.call("block", {"data": content}) == content.swapcase())


async def _mirror(connection: Connection, content: bytes, chance: random.Random) -> bool:
    cut = chance.randrange(len(content))
    data = content if chance.random() < 0.5 else [content[:cut], content[cut:]]  # noqa: PLR2004 a coin
    return bool(await connection.call("mirror", data=data) == content)


async def _fail(connection: Connection, content: bytes, _: random.Random) -> bool:
    try:
        await connection.call("fail", {"data": content})
    except CommandError as error:
        return content.decode() in str(error)
    return False


async def _late(connection: Connection, content: bytes, chance: random.Random) -> bool:
    timeout = chance.uniform(0.001, _LATE_SECONDS)
    try:
        await connection.call("hold", {"data": content}, timeout=timeout)
    except DeadlineError:
        return True
    return False


async def _cancelled(connection: Connection, content: bytes, chance: random.Random) -> bool:
    command = chance.choice(("hold", "hold", "turn", "block", "several"))
    arguments: dict[str, bytes | int] = {"data": content}
    if command == "several":
        arguments["count"] = _MOST_OBJECTS
    call: Call = connection.call(command, arguments)
    await asyncio.sleep(chance.uniform(0, _LATE_SECONDS))
    call.close()
    return True


_SORTS: Final[tuple[Callable[[Connection, bytes, random.Random], Awaitable[bool]], ...]] = (
    *(_echo, _echo, _value, _value, _several, _mirror, _block, _blocks, _fail, _late, _cancelled),
)
SORTS: Final = tuple(dict.fromkeys(sort.__name__.strip("_") for sort in _SORTS))
"""The names of the sorts of calls."""


class _Member:
    """One connection, which is opened anew when it was cut off, and the calls on it."""

    def __init__(self, url: str, number: int, counts: Counts) -> None:
        self._url = url
        self._number = number
        self._counts = counts
        self._random = random.Random(number)  # noqa: S311 nothing is secret
        self._made = 0
        self._connection: Connection | None = None
        self._cut_off = 0
        """How often the connection was cut off."""

    async def open(self) -> None:
        """Connect."""
        self._connection = await aio.connect(self._url, _OPTIONS)

    async def call_until(self, end: float) -> None:
        """Make one call after the other."""
        while time.monotonic() < end:
            connection, cut_off = self._connection, self._cut_off
            if connection is None:
                # Another caller of this connection opens it anew.
                await asyncio.sleep(0.01)
                continue
            sort = self._random.choice(_SORTS)
            self._made += 1
            noise = self._random.randbytes(self._random.randrange(_CONTENT // 2)).hex()
            content = f"{self._number}/{self._made}:{noise}".encode()
            began = time.monotonic()
            try:
                is_right = await sort(connection, content, self._random)
            except ConnectionLostError:
                if cut_off == self._cut_off:
                    raise
                self._counts.abandoned += 1
                continue
            except (ClientError, CommandError, ServerError) as error:
                raise BenchmarkError(f"{sort.__name__}: {error}") from error
            if not is_right:
                raise BenchmarkError(f"connection {self._number}: a wrong answer: {sort.__name__}")
            self._counts.answered[sort.__name__.strip("_")] += 1
            self._counts.latencies.append(time.monotonic() - began)
            if self._random.random() < _LEAVING and self._connection is connection:
                await self._cut(connection)

    async def _cut(self, connection: Connection) -> None:
        """Leave with calls in flight, and connect anew."""
        self._connection = None
        self._cut_off += 1
        await connection.close()
        await self.open()

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


def crowd(daemon: Daemon, *, connections: int, window: int, seconds: float, seed: int) -> Counts:
    """Keep calls of all sorts in flight on many connections, then close them all.

    Args:
        daemon: The daemon to connect to.
        connections: The number of connections at once.
        window: The number of calls in flight on each.
        seconds: The time for which calls are made.
        seed: The seed of their contents.

    Raises:
        BenchmarkError: An answer was wrong or missing.
    """
    url = f"hgrpc://127.0.0.1:{daemon.port('framed', '0006')}/"
    counts = Counts()
    members = [_Member(url, seed + number, counts) for number in range(connections)]
    asyncio.run(_run(members, counts, window, seconds))
    return counts


async def _run(members: list[_Member], counts: Counts, window: int, seconds: float) -> None:
    for start in range(0, len(members), _OPENED_TOGETHER):
        await asyncio.gather(*(each.open() for each in members[start : start + _OPENED_TOGETHER]))
    began = time.monotonic()
    try:
        calls = (each.call_until(began + seconds) for each in members for _ in range(window))
        await asyncio.wait_for(asyncio.gather(*calls), seconds + DEADLINE)
    except TimeoutError:
        raise BenchmarkError("calls were never answered") from None
    finally:
        counts.seconds = time.monotonic() - began
        await asyncio.gather(*(each.close() for each in members))
