"""The bytes that the peer of a connection of frames makes the daemon hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.guard.held_memory import STEP
from wiredaemon.net.guard.waits import Held
from wiredaemon.protocol import DataReceived

if TYPE_CHECKING:
    from wiredaemon.net.responding.connection_input import ConnectionInput
    from wiredaemon.net.responding.responder import Responder


def holds_much(responder: Responder) -> bool:
    """Return whether requests that arrive, and data for commands, are so much that it is told.

    Asked with each read: commands take nearly all data at once, and `held_by` takes 5 us.
    """
    size, _ = responder.connection.held_input
    for request in responder.running.values():
        size += request.data.size
    return size >= STEP


def held_by(
    responder: Responder, received: ConnectionInput, unsent: int, *, is_known: bool
) -> Held:
    """Return what a connection holds: requests, data for commands, answers, and output.

    Args:
        responder: Runs the requests of the connection.
        received: Receives them.
        unsent: Bytes of output that wait in the transport.
        is_known: The peer has logged in.
    """
    connection = responder.connection
    size, unfinished = connection.held_input
    size += connection.output_size + unsent
    for event in received.backlog:
        # Requests among them are counted by the connection until they are answered.
        if isinstance(event, DataReceived):
            size += len(event.data)
    running = responder.running.values()
    # Once each: requests of one connection may share it.
    size += sum(origin.held for origin in {request.context.origin for request in running})
    for request in running:
        size += request.data.size
    return Held(size, 0 if is_known else unfinished)
