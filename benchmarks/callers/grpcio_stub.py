"""grpcio's stub, 64 calls in flight: `... benchmarks.callers.grpcio_stub PORT threads|futures`."""

from __future__ import annotations

import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from benchmarks.callers.orders import DATA, WINDOW, check, obey, portions


def main(port: str, way: str) -> None:
    """Call `/p.Peer/Echo` as ordered."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/p.Peer/Echo")

        def some(count: int) -> None:
            for _ in range(count):
                check(echo(DATA))

        def futures(count: int) -> None:
            waiting: deque[Any] = deque()
            for _ in range(count):
                if len(waiting) == WINDOW:
                    check(waiting.popleft().result())
                waiting.append(echo.future(DATA))
            for future in waiting:
                check(future.result())

        with ThreadPoolExecutor(WINDOW) as pool:

            def threads(count: int) -> None:
                list(pool.map(some, portions(count, WINDOW)))

            obey(threads if way == "threads" else futures)


if __name__ == "__main__":
    main(*sys.argv[1:])
