"""The client for Twisted: `python -m benchmarks.callers.ours_twisted URL WINDOW`."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from benchmarks.callers.orders import DATA, check, obey_in_loop, portions
from wiredaemon.client import connect


async def main(reactor: Any, url: str, window: int) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Call `echo` as ordered."""
    arguments = {"data": DATA}
    async with await connect(reactor, url) as connection:

        async def some(count: int) -> None:
            for _ in range(count):
                check(await connection.call("echo", arguments))

        async def all_of_them(count: int) -> None:
            await gatherResults(
                [Deferred.fromCoroutine(some(portion)) for portion in portions(count, window)]
            )

        await obey_in_loop(deferToThread, some if window == 1 else all_of_them)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1], int(sys.argv[2]))))
