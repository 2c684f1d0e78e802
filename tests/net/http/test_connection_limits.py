"""The limits of HTTP connections, in memory: heads, bodies, pauses between requests, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from support.hgweb import Hosted
from support.responding import make_command
from support.web import FakeHost, Web, ask, path_of, posted, requests, settings_first

from wiredaemon.wire.limits import Limits

CLOSE = b"Connection: close\r\n"


def plain(_: Any) -> bytes:
    return b"plain"


async def count(context: Any) -> int:
    return sum([len(piece) async for piece in context.data])


def served(**limits: Any) -> Web:
    host = FakeHost([make_command(plain), make_command(count, has_data=True)])
    return Web("0006", host=host, limits=Limits(**limits))


def request(name: bytes = b"plain") -> bytes:
    return posted("0006", name.decode(), settings_first() + requests("0006", name))


def test_a_head_that_dribbles_is_answered_and_closed_after_its_time() -> None:
    web = served()
    connection = web.connect()
    for byte in request()[:10]:
        assert connection.exchange(bytes([byte])) == b""
        web.wait(1)
    web.wait(1)
    answer = connection.take()
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert CLOSE in answer
    assert answer.endswith(b"the head of the request is not complete within 10 s (head_seconds)\n")
    assert connection.is_closed
    assert web.guard.hits.counts == {"head_seconds": 1}


@pytest.mark.parametrize("before", [0, 1])
def test_headers_that_dribble_behind_a_whole_line_are_no_progress(before: int) -> None:
    web = served()
    connection = web.connect()
    for _ in range(before):
        assert b"200 OK" in connection.exchange(request())
    connection.send(b"GET / HTTP/1.1\r\n")
    for number in range(11):
        web.wait(1)
        connection.send(b"X-%d: x\r\n" % number)
    assert connection.take().startswith(b"HTTP/1.1 408 ")


def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    web = served()
    connection = web.connect()
    web.wait(59)
    assert b"200 OK" in connection.exchange(request())
    web.wait(60)
    assert not connection.is_closed
    web.wait(1)
    assert (connection.take(), connection.is_closed) == (b"", True)


def test_a_request_that_waits_for_its_command_is_not_idle() -> None:
    web = served()
    connection = web.connect()
    connection.send(request(b"count")[:-1])
    web.wait(15)
    assert not connection.is_closed


def test_the_body_of_a_framed_request_needs_its_rate() -> None:
    web = served()
    connection = web.connect()
    connection.send(request()[:-1])
    web.wait(19)
    assert connection.take() == b""
    web.wait(2)
    answer = connection.take()
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert CLOSE in answer
    assert answer.endswith(b"the request body is slower than 500 B/s (body_rate)\n")


def test_the_body_of_a_reading_version_1_command_needs_its_rate() -> None:
    hosted = Hosted()
    hosted.connection.send(ask("POST", "/?cmd=heads", {"Content-Length": "9"}) + b"nodes=")
    hosted.web.wait(21)
    assert hosted.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not hosted.workers.exchanges


def test_a_body_that_a_client_says_it_has_and_never_sends_is_not_waited_for() -> None:
    web = served()
    connection = web.connect()
    head, _, _ = request().partition(b"\r\n\r\n")
    connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert connection.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    web.wait(21)
    assert connection.take().startswith(b"HTTP/1.1 408 ")


def test_behind_the_last_request_the_connection_is_closed_politely() -> None:
    web = served(requests_per_connection=3)
    connection = web.connect()
    first, second, third = (connection.exchange(request()) for _ in range(3))
    assert first == second
    assert CLOSE not in second
    assert CLOSE in third
    assert third.startswith(b"HTTP/1.1 200 OK\r\n")
    # In chunks all the same, so that its end is certain.
    assert third.replace(CLOSE, b"") == second
    assert connection.is_closed


def test_a_fixed_answer_to_the_last_request_says_that_it_is_the_last() -> None:
    web = served(requests_per_connection=1)
    connection = web.connect()
    assert CLOSE in connection.exchange(ask("GET", "/"))
    assert connection.is_closed


def test_a_connection_too_many_is_told_which_limit_and_when_to_come_again() -> None:
    web = served(connections_per_address=1)
    web.connect()
    connection = web.connect()
    answer = connection.exchange(request())
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"Retry-After: 10\r\n" in answer
    assert b"there are 1 connections from this address already" in answer
    assert b"(connections_per_address)" in answer
    assert connection.is_closed
    assert b"200 OK" in web.connect(address="192.168.1.2").exchange(request())


def test_requests_that_are_wrong_or_broken_off_are_limited() -> None:
    web = served(failed_requests=3, failed_requests_rate=0.01)
    wrong = posted("0006", "plain", b"no frame")
    connection = web.connect()
    first = connection.exchange(wrong)
    assert first.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert CLOSE not in first
    for _ in range(2):
        broken = web.connect().send(request()[:-1])
        broken.protocol.connectionLost(None)
    last = connection.exchange(wrong)
    assert last.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert CLOSE in last
    refused = web.connect().exchange(request())
    assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"Retry-After: 101\r\n" in refused


def test_requests_that_succeed_or_lack_a_right_are_no_failures() -> None:
    web = served(failed_requests=1, failed_requests_rate=0.01)
    for _ in range(3):
        web.connect().exchange(request())
        web.connect().exchange(ask("GET", path_of("0006", "nothing")))
    assert web.guard.hits.counts == {}


def test_what_a_refused_client_sends_is_dropped_up_to_a_limit() -> None:
    web = served(connections=0, drained_body=10)
    connection = web.connect()
    connection.send(bytes(10))
    assert not connection.transport.disconnected
    connection.send(b"+")
    assert connection.transport.disconnected


def test_a_secure_connection_without_a_handshake_is_cut_off() -> None:
    web = served()
    connection = web.connect(secure=True)
    web.wait(10)
    assert not connection.transport.disconnected
    web.wait(1)
    assert connection.transport.disconnected


def test_a_secure_connection_whose_handshake_is_done_may_be_idle() -> None:
    web = served()
    connection = web.connect(secure=True)
    protocol: Any = connection.protocol
    protocol.handshakeCompleted()
    web.wait(20)
    assert not connection.transport.disconnected
