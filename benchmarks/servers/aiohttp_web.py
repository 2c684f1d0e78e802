"""aiohttp with a POST that sends back the body, and one that counts it; nothing is logged."""

from __future__ import annotations

import asyncio

from aiohttp import web


async def post(request: web.Request) -> web.Response:
    """Send back the body."""
    return web.Response(body=await request.read())


async def upload(request: web.Request) -> web.Response:
    """Return the size of the body, in digits, reading it as it arrives."""
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(body=b"%d" % size)


async def main() -> None:
    """Serve until the process is ended."""
    application = web.Application()
    application.router.add_post("/", post)
    application.router.add_post("/upload", upload)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
