"""The client for asyncio.

For instance::

    async with await aio.connect("hgrpc://example.org/repository") as connection:
        heads = await connection.call("heads")
        async for value in connection.call("changesetdata", {...}):
            ...

All but `connect` is as in ``wiredaemon.client``, and may be imported from there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wiredaemon.client.aio_runtime import AioRuntime
from wiredaemon.client.connecting import open_connection
from wiredaemon.client.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from wiredaemon.client.connecting import Connection
    from wiredaemon.client.options import ClientOptions


async def connect(url: str, options: ClientOptions = DEFAULT_OPTIONS) -> Connection:
    """Connect to a server, in the running event loop, and learn what it offers.

    Args:
        url: As of `wiredaemon.client.connect`.
        options: Dialect, encodings, login, trust, times and limits.

    Raises:
        ClientError: The server cannot be reached, or does not offer what the options ask for.
    """
    return await open_connection(AioRuntime(asyncio.get_running_loop()), url, options)
