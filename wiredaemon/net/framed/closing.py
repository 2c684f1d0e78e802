"""Closes our side of a raw connection, so that the peer can read all that was sent."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport, ITCPTransport


def end_output(transport: Any, *, input_ended: bool) -> bool:  # noqa: ANN401 zope interfaces do not intersect
    """End our side after what was sent.

    Args:
        transport: The transport of the connection.
        input_ended: The peer has closed its side.

    Returns:
        Whether nothing will tell that all was sent: the caller must bound the time of the rest.
    """
    if input_ended or not ITCPTransport.providedBy(transport):
        transport.loseConnection()
        return False
    if ISSLTransport.providedBy(transport):
        # Closing the sending side of the socket below would cut TLS off without its close alert.
        # `loseConnection` sends the alert and waits for the peer's, without a limit.
        transport.loseConnection()
        return True
    transport.loseWriteConnection()
    return False
