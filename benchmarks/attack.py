"""An attack: what it is, what it is aimed at, and how its coroutines talk to the server.

Every attack runs in a process of its own. It ends by itself when the server has refused all that it
tries, and is cancelled otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_SMALL_BUFFER: Final = 4096
PROXIED: Final = "proxied"
"""In place of a dialect: the HTTP listener that believes what a proxy says of addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The ports of a daemon, by kind of listener and dialect."""

    ports: Mapping[tuple[str, str], int]
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An attack."""

    name: str
    run: Callable[[Target], Awaitable[None]]
    deadline: float | None = None
    """Seconds within which the server must have closed every connection of the attack."""
    needs_repository: bool = False
    rehearsal: float = 0.0
    """Seconds of the attack before memory is measured: threads and workers stay once begun."""


async def connect(
    target: Target, listener: str, dialect: str = "0003", *, buffer: int = _SMALL_BUFFER
) -> socket.socket:
    """Connect without TLS, with a small buffer for what is received."""
    connection = socket.socket()
    connection.setblocking(False)  # noqa: FBT003 Python's signature
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", target.ports[listener, dialect]))
    return connection


async def send(connection: socket.socket, data: bytes) -> None:
    """Send bytes; raises OSError where the server has closed."""
    await asyncio.get_running_loop().sock_sendall(connection, data)


async def drop_answers(connection: socket.socket) -> None:
    """Read until the server closes."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while await loop.sock_recv(connection, 1 << 16):
            pass


async def on_each(count: int, one: Callable[[], Awaitable[None]]) -> None:
    """Do the same on many connections at once."""
    await asyncio.gather(*(one() for _ in range(count)))


def attack(row: Row, target: Target, seconds: float, ended: Callable[[float], None]) -> None:
    """Run one attack for so long; tell how long it went on, if it ended by itself."""
    began = time.monotonic()

    async def run() -> None:
        await asyncio.wait_for(row.run(target), seconds)

    with contextlib.suppress(TimeoutError):
        asyncio.run(run())
        ended(time.monotonic() - began)
