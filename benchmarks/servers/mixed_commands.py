"""The commands of `benchmarks.stress`: one of each sort, and one that counts leftovers."""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from wiredaemon.commands import (
    Argument,
    ArgumentType,
    CommandError,
    Permission,
    RawBytes,
    command,
)
from wiredaemon.net.guard.command_threads import CommandThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

# The installed reactor has every interface; its type says none.
reactor: Any = installed_reactor

_DATA: Final = {"data": Argument(type=ArgumentType.BYTES)}
_DATA_AND_COUNT: Final = {**_DATA, "count": Argument(type=ArgumentType.INT)}
_COUNTED: Final = frozenset(
    {
        "Responder",
        "Job",
        "FramedServerProtocol",
        "ServerConnection",
        "IncomingData",
        "CommandContext",
    }
    | {"TLSMemoryBIOProtocol", "Server", "Deferred", "DelayedCall", "coroutine", "generator"}
)
"""The types of objects that a connection or a request might leave behind."""


@command("echo", permission=Permission.RO, arguments=_DATA)
def echo(_context: Any, data: bytes) -> RawBytes:  # noqa: ANN401
    """Return the argument."""
    return RawBytes(data)


@command("turn", permission=Permission.RO, arguments=_DATA)
async def turn(_context: Any, data: bytes) -> bytes:  # noqa: ANN401
    """Return the argument backwards, a turn of the reactor later."""
    await deferLater(reactor, 0)
    return data[::-1]


@command("hold", permission=Permission.RO, arguments=_DATA)
async def hold(_context: Any, data: bytes) -> bytes:  # noqa: ANN401
    """Wait until the call is cancelled, or its deadline has passed."""
    await Deferred[None]()
    return data


@command("several", permission=Permission.RO, arguments=_DATA_AND_COUNT)
def several(_context: Any, data: bytes, count: int) -> Iterator[list[bytes | int]]:  # noqa: ANN401
    """Yield numbered objects with the argument in each."""
    for number in range(count):
        yield [number, data]


@command("mirror", permission=Permission.RO, has_data=True)
async def mirror(context: Any) -> bytes:  # noqa: ANN401
    """Return the data."""
    data: bytes = await context.data.read()
    return data


@command("measure", permission=Permission.RO, has_data=True)
async def measure(context: Any) -> int:  # noqa: ANN401
    """Return the size of the data."""
    size = 0
    async for piece in context.data:
        size += len(piece)
    return size


@command("fail", permission=Permission.RO, arguments=_DATA)
def fail(_context: Any, data: bytes) -> None:  # noqa: ANN401
    """Fail with the argument in the message."""
    raise CommandError("failed: %s", [data])


@command("block", permission=Permission.RO, arguments=_DATA, is_blocking=True)
def block(_context: Any, data: bytes) -> bytes:  # noqa: ANN401
    """Return the argument with the case of its letters swapped, from a thread."""
    return data.swapcase()


@command("blocks", permission=Permission.RO, arguments=_DATA_AND_COUNT, is_blocking=True)
def blocks(_context: Any, data: bytes, count: int) -> Iterator[list[bytes | int]]:  # noqa: ANN401
    """Yield numbered objects with the argument in each, from a thread."""
    for number in range(count):
        yield [number, data]


@command("left", permission=Permission.RO)
def left(_context: Any) -> RawBytes:  # noqa: ANN401
    """Count the reactor's entries and the live objects, as lines of `name number`."""
    gc.collect()
    objects = gc.get_objects()
    counts = Counter(type(each).__name__ for each in objects)
    lines = {name: counts[name] for name in sorted(_COUNTED)}
    lines["delayed calls"] = len(reactor.getDelayedCalls())
    lines["readers"] = len(reactor.getReaders())
    lines["writers"] = len(reactor.getWriters())
    lines["busy threads"] = len(reactor.getThreadPool().working)
    lines["waiting for threads"] = reactor.getThreadPool()._team.statistics().backloggedWorkCount  # noqa: SLF001
    threads = [each for each in objects if type(each) is CommandThreads]
    lines["blocking commands"] = sum(each.running + len(each.waiting) for each in threads)
    return RawBytes("".join(f"{name} {count}\n" for name, count in lines.items()).encode("ascii"))
