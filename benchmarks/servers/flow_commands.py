"""The commands of `benchmarks.memory`: large data, and a command that waits for another one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from benchmarks.pieces import piece
from benchmarks.wire import PIECE
from wiredaemon.commands import Argument, ArgumentType, Permission, RawBytes, command

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTS = {"given": 0, "taken": 0}
"""Bytes of data: those sent by `give`, and those read by `hold`."""
_HELD: list[Deferred[None]] = []
"""The Deferreds that `go` fires."""


@command(
    "give",
    permission=Permission.RO,
    arguments={
        "kind": Argument(type=ArgumentType.BYTES),
        "pieces": Argument(type=ArgumentType.INT),
    },
)
def give(_context: Any, kind: bytes, pieces: int) -> Iterator[RawBytes]:  # noqa: ANN401
    """Yield a number of pieces."""
    _COUNTS["given"] = 0
    for number in range(pieces):
        _COUNTS["given"] += PIECE
        yield RawBytes(piece(kind, number))


@command("hold", permission=Permission.RO, has_data=True)
async def hold(context: Any) -> RawBytes:  # noqa: ANN401
    """Read one piece of data, wait for `go`, read the others; return their size and digest."""
    _COUNTS["taken"] = 0
    digest = hashlib.sha256()
    is_first = True
    async for data in context.data:
        _COUNTS["taken"] += len(data)
        digest.update(data)
        if is_first:
            is_first = False
            waiting: Deferred[None] = Deferred()
            _HELD.append(waiting)
            await waiting
    return RawBytes(b"%d %s" % (_COUNTS["taken"], digest.hexdigest().encode("ascii")))


@command("go", permission=Permission.RO)
def go(_context: Any) -> RawBytes:  # noqa: ANN401
    """Resume held commands; return their number."""
    held = list(_HELD)
    _HELD.clear()
    for waiting in held:
        waiting.callback(None)
    return RawBytes(b"%d" % len(held))


@command("counts", permission=Permission.RO)
def counts(_context: Any) -> RawBytes:  # noqa: ANN401
    """Return the numbers of bytes sent and read."""
    return RawBytes(b"%(given)d %(taken)d" % {k.encode(): v for k, v in _COUNTS.items()})
