"""aiohttp's client, one POST at a time: `python -m benchmarks.callers.aiohttp_session PORT`."""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from benchmarks.callers.orders import DATA, check, obey_in_loop


async def main(port: str) -> None:
    """Post as ordered, on one connection that is kept."""
    async with aiohttp.ClientSession() as session:

        async def calls(count: int) -> None:
            for _ in range(count):
                async with session.post(f"http://127.0.0.1:{port}/", data=DATA) as response:
                    check(await response.read())

        await obey_in_loop(asyncio.to_thread, calls)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
