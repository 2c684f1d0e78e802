"""The bytes that the peer of a connection of frames makes the daemon hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.guard.waits import Held

if TYPE_CHECKING:
    from wiredaemon.net.responding.responder import Responder


def held_by(responder: Responder, unsent: int, *, is_known: bool) -> Held:
    """Return what a connection holds: requests, data for commands, and output.

    Args:
        responder: Runs the requests of the connection.
        unsent: Bytes of output that wait in the transport.
        is_known: The peer has logged in.
    """
    connection = responder.connection
    size, unfinished = connection.held_input
    size += connection.output_size + unsent
    for request in responder.running.values():
        size += request.data.size
    return Held(size, 0 if is_known else unfinished)
