"""Assembles one connection: the protocol's state, its input and its Responder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wiredaemon.net.responding.connection_input import ConnectionInput
from wiredaemon.net.responding.interfaces import InputTransport, ResponseTransport
from wiredaemon.net.responding.responder import Responder
from wiredaemon.protocol import ServerConnection

if TYPE_CHECKING:
    from wiredaemon.net.guard.command_threads import CommandThreads
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.responding.interfaces import Admission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits


class ExchangeTransport(InputTransport, ResponseTransport, Protocol):
    """A transport that feeds the input and sends the output of one connection."""


def begin_exchange(  # noqa: PLR0913 all that one needs
    transport: ExchangeTransport,
    admission: Admission,
    dialect: Dialect,
    *,
    half_duplex: bool,
    threads: CommandThreads,
    limits: Limits,
    turns: Turns,
    room: OutputRoom,
) -> tuple[ConnectionInput, Responder]:
    """Make the input that the transport must feed, and the Responder that produces its output.

    Args:
        transport: The transport of the connection, which owns both.
        admission: Decides which commands may run.
        dialect: The framing of the connection.
        half_duplex: The peer sends everything before it reads, as in one HTTP request.
        threads: Run the commands that block.
        limits: Bounds what a peer may make the server hold.
        turns: Shares the time of the reactor among connections.
        room: Shares the memory for output among them.
    """
    connection = ServerConnection(dialect, half_duplex=half_duplex, limits=limits)
    responder = Responder(
        connection,
        transport,
        half_duplex=half_duplex,
        threads=threads,
        limits=limits,
        turns=turns,
        room=room,
    )
    received = ConnectionInput(connection, transport, admission, responder, limits, turns)
    # Each needs the other one: the Responder is made first.
    responder.source = received
    return received, responder
