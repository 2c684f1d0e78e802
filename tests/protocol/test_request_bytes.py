"""The bytes that the requests of one connection hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.peers import frame, item, map_frames

from wiredaemon.protocol import ConnectionFailed, RequestReceived, ServerConnection
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.protocol.events import ServerEvent


def test_half_open_requests_have_a_limit_of_bytes_together() -> None:
    limits = Limits(request_bytes=20_000, request_size=15_000)
    connection = ServerConnection(DIALECTS["0006"], half_duplex=False, limits=limits)
    first = [frame(1, 0x05, bytes(9_000), request_id=number) for number in (1, 3)]
    assert connection.receive_data(b"".join(first)) == []
    more = frame(1, 0x06, bytes(2_001), request_id=3)
    (event,) = connection.receive_data(more)
    assert isinstance(event, ConnectionFailed)
    text = "requests begun and not complete exceed the limit of 20000 bytes (request_bytes)"
    assert event.error.message == text


def test_of_large_requests_no_more_are_read_than_may_wait_for_answers() -> None:
    limits = Limits(request_bytes=20_000)
    connection = ServerConnection(DIALECTS["0006"], half_duplex=False, limits=limits)
    content = item({b"name": b"x", b"args": {b"a": bytes(9_000)}}, canonical=False)
    frames = [map_frames("0006", number, content) for number in (1, 3, 5, 7)]
    events: list[ServerEvent] = []
    for (one,) in frames:
        events += connection.receive_data(one)
    assert [event.request_id for event in events if isinstance(event, RequestReceived)] == [1, 3, 5]
    assert connection.pending
    connection.send_result(1, b"done")
    (last,) = connection.receive_data(b"")
    assert isinstance(last, RequestReceived)
