"""Pushes and answers of workers while the daemon stops, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.hgweb import CHUNKED, HEADS, KIB, UNBUNDLE, head
from support.hgweb import posted as pushed
from support.web import ask

if TYPE_CHECKING:
    from support.hgweb import Hosted

CLOSE = b"\r\nConnection: close\r\n"
LENGTH = [("Content-Length", "4")]


def drain(hosted: Hosted, now: float = 0) -> None:
    for connection in hosted.web.guard.connections():
        connection.drain(now)


def test_an_answer_that_has_begun_ends_as_it_began_and_then_closes(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    exchange.say(b"some")
    drain(hosted)
    assert not hosted.connection.is_closed
    exchange.end()
    assert hosted.take().endswith(b"4\r\nsome\r\n0\r\n\r\n")
    assert hosted.connection.is_closed


def test_a_client_that_has_pushed_may_ask_for_more_for_a_time(hosted: Hosted) -> None:
    exchange = hosted.send(pushed(UNBUNDLE, b"bundle"))
    drain(hosted, 1)
    exchange.answer(b"done", headers=LENGTH)
    assert CLOSE not in hosted.take()
    drain(hosted, 9)
    drain(hosted, 10.9)
    hosted.send(ask("GET", HEADS)).answer(b"next", headers=LENGTH)
    assert CLOSE not in hosted.take()
    drain(hosted, 11)
    drain(hosted, 12.9)
    assert not hosted.connection.is_closed
    drain(hosted, 13)
    assert hosted.connection.is_closed


def test_a_push_that_comes_late_may_ask_for_more_too(hosted: Hosted) -> None:
    whole = pushed(UNBUNDLE, b"bundle")
    hosted.connection.send(whole[:20])
    drain(hosted, 1)
    hosted.send(whole[20:]).answer(b"done", headers=LENGTH)
    assert CLOSE not in hosted.take()
    assert not hosted.connection.is_closed
    drain(hosted, 2)
    drain(hosted, 4)
    assert hosted.connection.is_closed


def test_a_push_whose_client_closes_is_not_kept(hosted: Hosted) -> None:
    whole = pushed(UNBUNDLE, b"bundle", Connection="close")
    hosted.connection.send(whole[:20])
    drain(hosted)
    hosted.send(whole[20:]).answer(b"done", headers=LENGTH)
    assert hosted.connection.is_closed


def test_the_answer_to_a_push_has_its_length_so_that_its_client_reads_it_whole(
    hosted: Hosted,
) -> None:
    exchange = hosted.send(pushed(UNBUNDLE, b"bundle"))
    drain(hosted)
    exchange.begin()
    exchange.say(b"some")
    assert hosted.take() == b""
    exchange.say(b"more")
    exchange.end()
    assert hosted.take() == head("200 OK", "Content-Length: 8") + b"somemore"


def test_a_large_answer_to_a_push_is_not_held(hosted: Hosted) -> None:
    exchange = hosted.send(pushed(UNBUNDLE, b"bundle"))
    drain(hosted)
    exchange.begin()
    large = bytes(64 * KIB)
    exchange.say(large)
    assert hosted.take() == b""
    exchange.say(b"+")
    assert hosted.take() == head("200 OK", CHUNKED) + b"10001\r\n" + large + b"+\r\n"
    exchange.end()
    assert hosted.take() == b"0\r\n\r\n"
