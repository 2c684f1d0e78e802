"""What is decided before a worker is asked for: settings, and bodies that are read whole."""

from __future__ import annotations

import pytest
from support.hgweb import (
    CHUNKED,
    HEADS,
    UNBUNDLE,
    Hosted,
    chunks,
    head,
    keeps_alive,
    posted,
)
from support.web import Web, ask
from twisted.internet.defer import Deferred

from wiredaemon.net.hosting.host import Settings
from wiredaemon.wire.limits import Limits


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_request_waits_for_the_settings(hosted: Hosted, *, is_whole: bool) -> None:
    settings = hosted.host.now
    asked: Deferred[Settings] = Deferred()
    hosted.host.now = asked
    request = posted(UNBUNDLE, b"body")
    hosted.connection.send(request if is_whole else request[:-1])
    assert hosted.transport.producerState == "paused"
    assert hosted.workers.asked == []
    assert isinstance(settings, Settings)
    hosted.host.now = settings
    asked.callback(settings)
    exchange = hosted.workers.last
    if not is_whole:
        hosted.send(b"y")
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


@pytest.mark.parametrize(("method", "status"), [("DELETE", 405), ("PUT", 405), ("BREW", 501)])
def test_a_method_that_is_not_known_asks_for_no_worker_and_gets_no_page(
    hosted: Hosted, method: str, status: int
) -> None:
    without_repository = Web().connect()
    for target in ("/", "/log", HEADS, "/?cmd=capabilities"):
        answer = hosted.connection.exchange(ask(method, target))
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nAllow: GET, HEAD, POST\r\n" in answer
        if target not in {HEADS, "/log"}:
            answer = without_repository.exchange(ask(method, target))
            assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert not hosted.workers.asked


def test_the_body_of_a_reader_is_held_until_it_is_whole(hosted: Hosted) -> None:
    client = hosted.web.connect()
    client.send(posted(HEADS, b"argument")[:-3])
    assert not hosted.workers.asked
    client.send(b"ent")
    assert hosted.workers.last.feed.data == b"argument"
    assert hosted.workers.last.feed.data_ended


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_a_reader_that_is_too_large_asks_for_no_worker(
    hosted: Hosted, *, is_chunked: bool
) -> None:
    size = Limits().request_size + 1
    if is_chunked:
        headers = b"POST /?cmd=heads HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        request = headers + b"%x\r\n" % size + bytes(size)
    else:
        request = b"POST /?cmd=heads HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size
    answer = hosted.web.connect().exchange(request)
    assert answer.startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert b"request_size" in answer
    assert not hosted.workers.asked
