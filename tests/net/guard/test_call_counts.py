"""The counts of commands by the way they come in."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.testing import StringTransport

from wiredaemon.net.guard.call_counts import TRANSPORTS, CallCounts


def test_a_raw_connection_is_counted_by_its_socket() -> None:
    counts = CallCounts()
    counts.of_raw(StringTransport(hostAddress=UNIXAddress(b"/run/some.sock"))).begun += 2
    counts.of_raw(StringTransport(hostAddress=IPv4Address("TCP", "127.0.0.1", 1))).begun += 1
    assert counts.read() == dict.fromkeys(TRANSPORTS, 0) | {"framed_unix": 2, "framed": 1}
