from __future__ import annotations

import pytest

from wiredaemon.net.peer import is_local


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
