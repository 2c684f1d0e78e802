"""Twisted's AMP: `python -m benchmarks.callers.twisted_amp PORT WINDOW`."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from benchmarks.callers.orders import DATA, check, obey_in_loop, portions
from benchmarks.servers.twisted_amp import Echo, Peer


async def main(reactor: Any, port: int, window: int) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Call `Echo` as ordered."""
    peer = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Peer())

    async def some(count: int) -> None:
        for _ in range(count):
            answer = await peer.callRemote(Echo, data=DATA)
            check(answer["data"])

    async def all_of_them(count: int) -> None:
        await gatherResults(
            [Deferred.fromCoroutine(some(portion)) for portion in portions(count, window)]
        )

    await obey_in_loop(deferToThread, some if window == 1 else all_of_them)
    peer.transport.loseConnection()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *map(int, sys.argv[1:]))))
