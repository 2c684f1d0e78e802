"""Waits of raw connections, of which the guard measures how long they take.

Source: sessions, section 2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.guard.waits import Wait
from wiredaemon.net.responding.interfaces import Load
from wiredaemon.protocol import Incomplete

if TYPE_CHECKING:
    from wiredaemon.net.responding.responder import Responder


def wait_of(responder: Responder, reads: int, pinged: int | None) -> tuple[Wait, int]:
    """Return what a connection in full duplex waits for, and a number of that wait.

    Args:
        responder: Runs its requests.
        reads: The reads so far.
        pinged: The reads before our last ping; None if there was none.
    """
    wait, number = responder.connection.incomplete
    if wait is not None:
        return (Wait.REQUEST if wait is Incomplete.REQUEST else Wait.FRAME_HEADER), number
    if responder.connection.has_session:
        return (Wait.PONG if reads == pinged else Wait.LIFE), reads
    # A command that reads data may wait for its peer, as long as that sends any at all.
    is_idle = not responder.running or responder.load() is Load.NEEDING_DATA
    return (Wait.NEXT_FRAME, reads) if is_idle else (Wait.NOTHING, 0)
