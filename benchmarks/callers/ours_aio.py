"""The client for asyncio: `python -m benchmarks.callers.ours_aio URL WINDOW`."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.callers.orders import DATA, check, obey_in_loop, portions
from wiredaemon.client import aio


async def main(url: str, window: int) -> None:
    """Call `echo` as ordered."""
    arguments = {"data": DATA}
    async with await aio.connect(url) as connection:

        async def some(count: int) -> None:
            for _ in range(count):
                check(await connection.call("echo", arguments))

        async def all_of_them(count: int) -> None:
            await asyncio.gather(*map(some, portions(count, window)))

        await obey_in_loop(asyncio.to_thread, some if window == 1 else all_of_them)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
