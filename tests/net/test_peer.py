from __future__ import annotations

import pytest

from wiredaemon.net.peer import is_in_reach, is_local


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:5", True),
        ("127.9.0.1:5", True),
        ("::1:5", True),
        # As a socket for both kinds shows 127.0.0.1 and 192.0.2.7.
        ("::ffff:127.0.0.1:5", True),
        ("::ffff:192.0.2.7:5", False),
        ("192.0.2.7:5", False),
        ("fe80::1%eth0:5", False),
        ("/run/socket", True),
    ],
)
def test_loopback_and_unix_sockets_are_local(address: str, *, expected: bool) -> None:
    assert is_local(address) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.255.0.1", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("192.168.7.7", True),
        ("192.169.0.1", False),
        ("169.254.3.4", True),
        ("fe80::1%eth0", True),
        ("fec0::1", False),
        ("fd00::7", True),
        ("fc00::7", True),
        ("2001:db8::7", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:203.0.113.5", False),
        ("203.0.113.5", False),
        # Carriers' networks, for which no bytes are cheap.
        ("100.64.0.1", False),
        ("/run/socket", False),
        ("unknown", False),
    ],
)
def test_this_machine_and_private_networks_are_in_reach(host: str, *, expected: bool) -> None:
    assert is_in_reach(host) == expected
