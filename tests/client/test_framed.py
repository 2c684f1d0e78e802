"""Closing a raw connection; calls over one are in test_transports.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from wiredaemon.client.address import parse_url
from wiredaemon.client.framed import FramedClientProtocol, FramedConnection
from wiredaemon.client.options import CLOSE_SECONDS, DEFAULT_OPTIONS
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable


class Transport(StringTransport):
    """Remembers being cut off."""

    aborting = False

    def abortConnection(self) -> None:
        self.aborting = True


class Connected:
    """A connection whose transport only remembers what is done to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        transport: Any = Transport
        self.transport: Transport = transport()
        address, dialect = parse_url("hgrpc://127.0.0.1:1/"), DIALECTS["0006"]
        self.protocol = FramedClientProtocol(address, dialect, DEFAULT_OPTIONS, self.clock)
        protocol: Any = self.protocol
        protocol.makeConnection(self.transport)
        self.connection = FramedConnection(self.protocol, address, dialect)

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.connection.close())

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def connected() -> Connected:
    return Connected()


def test_it_is_closed_when_the_connection_is_lost(connected: Connected) -> None:
    closing = connected.close()
    assert (closing.called, connected.transport.disconnecting) == (False, True)
    connected.lose()
    assert (closing.called, connected.clock.getDelayedCalls()) == (True, [])
    assert not connected.transport.aborting


def test_it_is_cut_off_after_a_while_if_the_server_does_not_take_leave(
    connected: Connected,
) -> None:
    closing = connected.close()
    connected.clock.advance(CLOSE_SECONDS - 0.1)
    assert (closing.called, connected.transport.aborting) == (False, False)
    connected.clock.advance(0.1)
    assert (closing.called, connected.transport.aborting) == (True, True)
    connected.lose()


@pytest.mark.parametrize("times", [1, 2])
def test_a_connection_that_is_closed_already_is_not_waited_for(
    connected: Connected, times: int
) -> None:
    connected.lose()
    close: Callable[[], Deferred[None]] = connected.close
    assert all(close().called for _ in range(times))
    assert connected.clock.getDelayedCalls() == []
