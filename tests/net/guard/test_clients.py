from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from wiredaemon.net.guard.clients import client_key


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", None),
        ("127.9.0.1", None),
        ("", None),
    ],
)
def test_an_address_of_ipv4_is_one_client_unless_it_is_ours(host: str, key: str | None) -> None:
    assert client_key(IPv4Address("TCP", host, 5)) == key


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:127.0.0.1", None),
        ("::1", None),
    ],
)
def test_of_ipv6_a_network_of_64_bits_is_one_client(host: str, key: str | None) -> None:
    assert client_key(IPv6Address("TCP", host, 5)) == key


def test_unix_sockets_have_no_client() -> None:
    assert client_key(UNIXAddress("/run/socket")) is None
