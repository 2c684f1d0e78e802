from __future__ import annotations

import errno
import ssl

import pytest

from wiredaemon.client.address import parse_url
from wiredaemon.client.errors import ConnectError, ConnectionLostError, SilentError
from wiredaemon.client.sockets import describe_failure, describe_loss

ADDRESS = parse_url("hgrpc://server.example/")
LOST = "the connection to server.example:8010 was lost"


@pytest.mark.parametrize(
    ("number", "connecting", "connected"),
    [
        (
            errno.ETIMEDOUT,
            "cannot connect to server.example:8010: Connection timed out",
            f"{LOST}: Connection timed out",
        ),
        (
            errno.EHOSTUNREACH,
            "cannot connect to server.example:8010: No route to host",
            f"{LOST}: No route to host",
        ),
        (errno.ECONNRESET, LOST, LOST),
        (errno.EPIPE, LOST, LOST),
    ],
)
def test_the_same_failure_is_another_one_once_the_connection_is_there(
    number: int, connecting: str, connected: str
) -> None:
    error = OSError(number, "text of the library")
    assert str(describe_failure(error, ADDRESS)) == connecting
    lost = describe_loss(error, ADDRESS)
    assert (type(lost), str(lost)) == (ConnectionLostError, connected)


def test_what_has_words_already_keeps_them() -> None:
    silent = SilentError("nothing came")
    assert describe_loss(silent, ADDRESS) is silent
    assert type(describe_loss(ssl.SSLError(1, "x"), ADDRESS)) is ConnectError
