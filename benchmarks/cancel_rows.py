"""The attacks of `benchmarks.attacks` with sessions: requests cancelled as they are sent."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from benchmarks.attack import Row, connect, send
from benchmarks.attack_rows import flood
from benchmarks.frames import whole_request
from benchmarks.wire import EOS, SENDER_SETTINGS, STREAM_BEGIN, frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from benchmarks.attack import Target
    from benchmarks.frames import Value

_SESSION: Final = 13
_CANCEL: Final = 2
"""Source: sessions, section 2."""
_OFFER: Final = frame(1, (STREAM_BEGIN, EOS), SENDER_SETTINGS, b"\xa1Gsession\x01")
_PLACES: Final = 8
"""Commands that run side by side on one connection."""
_IDS: Final = range(2 * _PLACES + 1, 1 << 14, 2)


def cancelled(
    name: bytes, arguments: Mapping[bytes, Value], *, is_queued: bool = False
) -> Callable[[Target], Awaitable[None]]:
    """Requests in one session, each cancelled by the next frame.

    Args:
        name: The command.
        arguments: Its arguments.
        is_queued: All places are taken by commands that wait for data.
    """
    pairs = [
        whole_request(number, name, arguments, begins=False)
        + frame(number, (0, _CANCEL), _SESSION, b"")
        for number in _IDS
    ]
    pieces = [b"".join(pairs[start : start + 256]) for start in range(0, len(pairs), 256)]
    waiting = b"".join(
        whole_request(number, b"measure", {}, begins=False, has_data=True)
        for number in range(1, 2 * _PLACES, 2)
    )

    def sent() -> Iterator[bytes]:
        yield waiting if is_queued else b""
        yield from itertools.cycle(pieces)

    async def run(target: Target) -> None:
        connection = await connect(target, "framed", "0006", buffer=1 << 16)
        await send(connection, _OFFER)
        await flood(connection, sent())

    return run


_ECHO: Final[dict[bytes, Value]] = {b"data": b"x"}

CANCEL_ROWS: Final = (
    Row(name="open and cancel in a session, running", run=cancelled(b"turn", _ECHO)),
    Row(name="open and cancel in a session, queued", run=cancelled(b"turn", _ECHO, is_queued=True)),
    Row(name="open and cancel in a session, blocking", run=cancelled(b"block", _ECHO), rehearsal=3),
    Row(
        name="open and cancel in a session, on workers",
        run=cancelled(b"heads", {}),
        needs_repository=True,
        rehearsal=3,
    ),
)
"""The attacks with sessions."""
