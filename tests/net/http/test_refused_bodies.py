"""Bodies that are refused from their head: how long the client may go on sending."""

from __future__ import annotations

import pytest
from support.eras import (
    ERAS,
)
from support.web import (
    Web,
    posted,
    text_answer,
)

from wiredaemon.wire.limits import Limits

# --- a body that is refused --------------------------------------------------------------------


@ERAS
def test_a_long_body_is_not_waited_for(era: str) -> None:
    web = Web(era, limits=Limits(drained_body=1000, refused_body=2000))
    connection = web.connect()
    request = posted(era, "zz", b"x" * 2001)
    assert connection.exchange(request[:-2001]) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
        b"Connection: close\r\n\r\nunknown wire protocol command: zz\n"
    )
    assert not connection.is_closed
    connection.send(b"x" * 2000)
    assert not connection.is_closed
    connection.send(b"x")
    assert connection.is_closed


@ERAS
def test_behind_a_long_body_that_was_refused_the_connection_is_closed(era: str) -> None:
    connection = Web(era, limits=Limits(drained_body=1000)).connect()
    request = posted(era, "zz", b"x" * 1001)
    assert b"\r\nConnection: close\r\n" in connection.exchange(request)
    assert connection.is_closed


@ERAS
def test_a_refused_client_has_some_seconds_to_end_its_body(era: str) -> None:
    web = Web(era, limits=Limits(drain_seconds=2.0))
    connection = web.connect()
    request = posted(era, "zz", b"x" * 10)
    assert connection.exchange(request[:-1]).startswith(b"HTTP/1.1 404 Not Found\r\n")
    web.clock.advance(1.9)
    assert not connection.is_closed
    web.clock.advance(0.2)
    assert connection.is_closed


def test_a_client_that_ends_its_body_in_time_keeps_its_connection() -> None:
    web = Web("0003", limits=Limits(drain_seconds=2.0))
    connection = web.connect()
    request = posted("0003", "zz", b"x" * 10)
    connection.send(request[:-1])
    web.clock.advance(1.9)
    connection.send(request[-1:])
    web.clock.advance(1.9)
    assert not connection.is_closed


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", b"HTTP/1.0\r\n"], ids=["close", "1.0"]
)
def test_who_asks_to_be_closed_is_and_needs_no_header_to_know(head: bytes) -> None:
    connection = Web("0006").connect()
    assert connection.exchange(b"GET /api/exp-http-v2-0003 " + head + b"\r\n") == (
        text_answer("200 OK", b"HTTP version 2 API handler")
    )
    assert connection.is_closed
