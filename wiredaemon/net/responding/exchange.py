"""Joining what one connection needs: the protocol's state, its input and its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wiredaemon.net.responding.connection_input import ConnectionInput
from wiredaemon.net.responding.interfaces import InputTransport, ResponseTransport
from wiredaemon.net.responding.responder import Responder
from wiredaemon.protocol import ServerConnection

if TYPE_CHECKING:
    from wiredaemon.net.responding.interfaces import Admission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits


class ExchangeTransport(InputTransport, ResponseTransport, Protocol):
    """A transport that feeds the input and takes the output of one connection."""


def begin_exchange(  # noqa: PLR0913 all that one needs
    transport: ExchangeTransport,
    admission: Admission,
    dialect: Dialect,
    *,
    half_duplex: bool,
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    limits: Limits,
) -> tuple[ConnectionInput, Responder]:
    """Return the input that the transport has to feed, and the producer of its output.

    Args:
        transport: Owns both.
        admission: Decides what may run.
        dialect: The framing that is spoken.
        half_duplex: The peer sends all before it reads anything, as in one HTTP request.
        reactor: For threads and for taking turns.
        limits: What a peer may make the server hold.
    """
    connection = ServerConnection(dialect, half_duplex=half_duplex, limits=limits)
    responder = Responder(
        connection, transport, half_duplex=half_duplex, reactor=reactor, limits=limits
    )
    received = ConnectionInput(connection, transport, admission, responder, limits)
    responder.on_progress = received.proceed
    return received, responder
