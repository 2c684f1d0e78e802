"""Much data through a client: `...callers.transfer aio|twisted|blocking URL up|down`.

An order is a number of pieces, which go in one call.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from benchmarks.callers.orders import PIECE, WrongAnswerError, obey, obey_in_loop
from wiredaemon.client import aio, blocking, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.client import Connection


async def _transfer(connection: Connection, direction: str, count: int) -> None:
    """Send or receive so many pieces.

    Raises:
        WrongAnswerError: Something else came.
    """
    if direction == "up":
        _check_number(await connection.call("measure", data=_pieces(count)), count * len(PIECE))
        return
    seen = 0
    async for piece in connection.call("pieces", {"count": count}):
        seen += piece == PIECE
    _check_number(seen, count)


def _pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield PIECE


def _check_number(seen: object, due: int) -> None:
    if seen != due:
        raise WrongAnswerError(f"{seen!r} instead of {due}")


async def _in_asyncio(url: str, direction: str) -> None:
    async with await aio.connect(url) as connection:
        await obey_in_loop(asyncio.to_thread, lambda count: _transfer(connection, direction, count))


async def _in_twisted(reactor: Any, url: str, direction: str) -> None:  # noqa: ANN401 zope interfaces do not intersect
    async with await connect(reactor, url) as connection:
        await obey_in_loop(deferToThread, lambda count: _transfer(connection, direction, count))


def _in_script(url: str, direction: str) -> None:
    with blocking.connect(url) as connection:

        def up(count: int) -> None:
            size = connection.call("measure", data=_pieces(count)).result()
            _check_number(size, count * len(PIECE))

        def down(count: int) -> None:
            pieces = connection.call("pieces", {"count": count})
            _check_number(sum(piece == PIECE for piece in pieces), count)

        obey(up if direction == "up" else down)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["aio", url, direction]:
            asyncio.run(_in_asyncio(url, direction))
        case ["twisted", url, direction]:
            react(lambda reactor: Deferred.fromCoroutine(_in_twisted(reactor, url, direction)))
        case ["blocking", url, direction]:
            _in_script(url, direction)
