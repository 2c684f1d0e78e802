"""Bodies on their way to a worker."""

from __future__ import annotations

import pytest
from support.hgweb import (
    CHUNKED,
    KIB,
    UNBUNDLE,
    Hosted,
    chunks,
    head,
    keeps_alive,
    posted,
)
from support.web import ask

from wiredaemon.wire.limits import Limits


def test_a_body_goes_to_the_worker_as_it_comes(hosted: Hosted) -> None:
    request = posted(UNBUNDLE, b"0123456789")
    exchange = hosted.send(request[:-6])
    assert exchange.feed.data == b"0123"
    hosted.send(request[-6:-1])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"012345678", False)
    hosted.send(request[-1:])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"0123456789", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


def test_continue_is_said_to_who_waits_for_it(hosted: Hosted) -> None:
    request = posted(UNBUNDLE, b"body", Expect="100-continue")
    exchange = hosted.send(request[:-4])
    assert hosted.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    hosted.send(b"body")
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")


def test_continue_is_said_when_there_is_a_worker(hosted: Hosted) -> None:
    hosted.workers.are_busy = True
    hosted.connection.send(posted(UNBUNDLE, b"body", Expect="100-continue")[:-4])
    assert hosted.take() == b""
    hosted.workers.are_busy = False
    hosted.workers.waiting[0].callback(None)
    assert hosted.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    hosted.send(b"body")
    hosted.workers.last.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")


@pytest.mark.parametrize("is_whole", [True, False])
def test_nothing_is_read_until_there_is_a_worker(hosted: Hosted, *, is_whole: bool) -> None:
    hosted.workers.are_busy = True
    request = posted(UNBUNDLE, b"body")
    hosted.connection.send(request if is_whole else request[:-1])
    assert hosted.transport.producerState == "paused"
    hosted.web.wait(1000)
    assert not hosted.connection.is_closed
    hosted.workers.are_busy = False
    hosted.workers.waiting[0].callback(None)
    assert hosted.transport.producerState == "producing" or is_whole
    exchange = hosted.workers.last
    assert exchange.feed.data_ended is is_whole
    if not is_whole:
        hosted.send(b"y")
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


def test_a_worker_that_reads_slowly_pauses_its_client(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000"}) + bytes(500))
    assert hosted.transport.producerState == "producing"
    assert exchange.feed.producer is not None
    exchange.feed.producer.pauseProducing()
    assert hosted.transport.producerState == "paused"
    hosted.web.wait(1000)
    assert not hosted.connection.is_closed
    exchange.feed.producer.resumeProducing()
    assert hosted.transport.producerState == "producing"
    hosted.send(bytes(500))
    assert (len(exchange.feed.data), exchange.feed.data_ended) == (1000, True)
    exchange.answer()
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks()
    assert keeps_alive(hosted)


@pytest.mark.parametrize("is_paused", [True, False])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]])
def test_an_answer_before_the_body_has_ended_is_whole_at_once(
    hosted: Hosted, headers: list[tuple[str, str]], *, is_paused: bool
) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000"}) + bytes(500))
    if is_paused:
        assert exchange.feed.producer is not None
        exchange.feed.producer.pauseProducing()
    exchange.answer(b"no", headers=headers)
    expected = (
        head("200 Reason", "Content-Length: 2") + b"no"
        if headers
        else head("200 Reason", CHUNKED) + chunks(b"no")
    )
    assert hosted.take() == expected
    assert hosted.transport.producerState == "producing"
    hosted.send(bytes(500))
    assert hosted.take() == b""
    assert exchange.feed.data == bytes(500)
    assert keeps_alive(hosted)


def test_of_a_body_behind_its_answer_no_more_is_drained_than_of_a_refused_one() -> None:
    hosted = Hosted(limits=Limits(push_early=0, refused_body=64 * KIB))
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000000"}))
    exchange.answer(b"no")
    states = []
    for more in (bytes(64 * KIB), b"+"):
        hosted.send(more)
        states.append(hosted.connection.is_closed)
    assert states == [False, True]
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"no")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_push_that_is_too_large_is_refused_and_its_worker_gets_no_more(
    *, is_chunked: bool
) -> None:
    hosted = Hosted(limits=Limits(push_size=10, push_early=0))
    body = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": "11"}
    hosted.connection.send(ask("POST", UNBUNDLE, body))
    hosted.connection.send(b"b\r\n12345678901\r\n" if is_chunked else b"")
    assert hosted.take().startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert bool(hosted.workers.exchanges) is is_chunked
    assert all(exchange.feed.is_broken for exchange in hosted.workers.exchanges)


def test_a_push_that_hardly_comes_loses_its_worker(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "100000"}))
    hosted.send(bytes(10_000))
    hosted.web.wait(21)
    assert not exchange.feed.is_broken
    hosted.send(bytes(9_999))
    hosted.web.wait(21)
    assert hosted.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert exchange.feed.is_broken


def test_what_the_worker_makes_a_push_wait_counts_for_nothing(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "100000"}))
    producer = exchange.feed.producer
    assert producer is not None
    producer.pauseProducing()
    hosted.web.wait(21)
    producer.resumeProducing()
    hosted.web.wait(19)
    assert not exchange.feed.is_broken
    hosted.web.wait(2)
    assert exchange.feed.is_broken


def test_a_push_that_is_complete_may_take_its_time(hosted: Hosted) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"bundle"))
    hosted.web.wait(3600)
    exchange.answer(b"done")
    assert hosted.take().startswith(b"HTTP/1.1 200 Reason\r\n")
    assert not hosted.web.clock.getDelayedCalls()


# --- before there is a worker --------------------------------------------------------------------


@pytest.fixture
def early() -> Hosted:
    """A site that asks for a worker when 100 bytes of a push have come."""
    return Hosted(limits=Limits(push_early=100))


def test_a_worker_is_asked_for_when_the_beginning_of_a_push_has_come(early: Hosted) -> None:
    early.connection.send(ask("POST", UNBUNDLE, {"Content-Length": "300"}) + bytes(99))
    assert early.workers.asked == []
    exchange = early.send(b"+")
    assert exchange.feed.data == bytes(99) + b"+"
    early.send(bytes(200))
    assert (len(exchange.feed.data), exchange.feed.data_ended) == (300, True)
    exchange.answer(b"done")
    assert early.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(early)


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_worker_is_asked_for_when_a_small_push_has_come(early: Hosted, *, is_busy: bool) -> None:
    early.workers.are_busy = is_busy
    early.connection.send(posted(UNBUNDLE, b"body")[:-1])
    assert early.workers.asked == []
    early.connection.send(b"y")
    if is_busy:
        early.workers.are_busy = False
        early.workers.waiting[0].callback(None)
    exchange = early.workers.last
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    exchange.answer(b"done")
    assert early.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(early)


def test_a_push_is_paused_while_it_waits_for_a_worker(early: Hosted) -> None:
    early.workers.are_busy = True
    early.connection.send(ask("POST", UNBUNDLE, {"Content-Length": "300"}) + bytes(100))
    assert early.transport.producerState == "paused"
    early.web.wait(1000)
    assert not early.connection.is_closed
    early.workers.are_busy = False
    early.workers.waiting[0].callback(None)
    assert early.transport.producerState == "producing"
    assert early.workers.last.feed.data == bytes(100)


def test_a_push_that_hardly_comes_never_gets_a_worker(early: Hosted) -> None:
    early.connection.send(ask("POST", UNBUNDLE, {"Content-Length": "100000"}) + b"HG10")
    for _ in range(22):
        early.web.wait(1)
        early.connection.send(b"+")
    assert early.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert early.workers.asked == []


@pytest.mark.parametrize("end", [None, -1])
def test_a_client_that_leaves_while_its_push_waits_is_waited_for_no_more(
    early: Hosted, end: int | None
) -> None:
    early.workers.are_busy = True
    early.connection.send(posted(UNBUNDLE, b"body")[:end])
    early.lose()
    assert all(waiting.called for waiting in early.workers.waiting)
    assert early.workers.exchanges == []


def test_who_waits_to_be_asked_is_asked_when_there_is_a_worker(early: Hosted) -> None:
    early.workers.are_busy = True
    early.connection.send(posted(UNBUNDLE, b"body", Expect="100-continue")[:-4])
    assert early.take() == b""
    early.workers.waiting[0].callback(None)
    assert early.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
