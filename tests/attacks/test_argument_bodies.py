"""Bodies of version 1 arguments, whole or not, that wait for a worker or are read slowly by one."""

from __future__ import annotations

from typing import Final

from support.hgweb import HEADS, Hosted, posted
from support.web import ask

from wiredaemon.wire.limits import Limits

KIB: Final = 1024
LIMITS: Final = Limits(unfinished_bytes=400 * KIB)


def body(size: int) -> bytes:
    return posted(HEADS, bytes(size))


def test_of_whole_bodies_that_wait_for_a_worker_the_largest_is_refused() -> None:
    hosted = Hosted(limits=LIMITS)
    hosted.workers.are_busy = True
    small, large = hosted.web.connect(), hosted.web.connect()
    small.send(body(100 * KIB))
    large.send(body(250 * KIB))
    hosted.connection.send(body(100 * KIB))
    taken = large.take()
    assert taken.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 10\r\n" in taken
    assert b"beyond the 409600 bytes for all peers (unfinished_bytes); try again in 10 s" in taken
    assert [small.take(), hosted.take()] == [b"", b""]
    waiting = [each.called for each in hosted.workers.waiting]
    assert waiting == [False, True, False], "it waits no more"


def test_the_beginnings_of_many_bodies_are_counted_as_they_come() -> None:
    hosted = Hosted(limits=LIMITS)
    clients = [hosted.web.connect() for _ in range(20)]
    for client in clients:
        client.send(body(100 * KIB)[: 30 * KIB])
    refused = [client.take().startswith(b"HTTP/1.1 503 ") for client in clients]
    assert sum(refused) == 20 - 400 // 30


def test_answers_that_workers_have_given_and_nobody_reads_are_counted() -> None:
    hosted = Hosted(limits=Limits(held_memory=100 * KIB))
    small, large = hosted.web.connect(), hosted.web.connect()
    for client, size in ((small, 40), (large, 90)):
        client.send(ask("GET", HEADS))
        exchange = hosted.workers.last
        exchange.begin()
        client.protocol.pauseProducing()
        exchange.say(b"taken")
        exchange.say(bytes(size * KIB))
    hosted.web.guard_clock.advance(2)
    assert hosted.web.guard.hits.counts == {"held_memory": 1}
    assert (small.is_closed, large.is_closed) == (False, True)


def test_short_commands_need_no_worker_for_long_ones() -> None:
    hosted = Hosted()
    hosted.connection.send(ask("GET", HEADS))
    hosted.web.connect().send(ask("GET", "/?cmd=getbundle"))
    hosted.web.connect().send(ask("GET", "/log?rev=1"))
    hosted.web.connect().send(body(10))
    assert hosted.workers.short == [True, False, False, False]
