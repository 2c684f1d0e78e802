"""Responses of a worker on their way to a client, and how they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.hgweb import (
    BUFFER,
    CHUNKED,
    HEADS,
    KIB,
    UNBUNDLE,
    Feed,
    Hosted,
    chunks,
    head,
    keeps_alive,
    posted,
)
from support.web import ask

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.hgweb.exchange import TRANSITIONS, ExchangeInput, ExchangeState
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value


# --- answers and the connection behind them ------------------------------------------------------


def test_an_answer_of_a_known_length_is_sent_as_it_is(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin(200, b"Script output follows", ("Content-Length", "8"), ("X-A", "b"))
    exchange.say(b"some", b"more")
    exchange.end()
    expected = head("200 Script output follows", "Content-Length: 8", "X-A: b")
    assert hosted.take() == expected + b"somemore"
    assert keeps_alive(hosted)
    assert not exchange.has_left


@pytest.mark.parametrize("pieces", [(b"some", b"more!"), (b"some",), ()])
def test_an_answer_that_is_not_as_long_as_it_says_ends_the_connection(
    hosted: Hosted, pieces: tuple[bytes, ...]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.answer(*pieces, headers=[("content-length", "8")])
    assert hosted.take() == head("200 Reason", "content-length: 8") + b"".join(pieces)[:4]
    assert hosted.connection.is_closed


@pytest.mark.parametrize("lengths", [("4", "5"), ("4", "4"), ("-4",), ("4,4",), ("",)])
def test_an_answer_with_a_length_that_is_none_is_not_begun(
    hosted: Hosted, lengths: tuple[str, ...]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.answer(b"done", headers=[("Content-Length", each) for each in lengths])
    assert hosted.take().startswith(b"HTTP/1.1 500 ")


def test_an_answer_of_unknown_length_is_sent_in_chunks(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    assert hosted.take() == head("200 OK", CHUNKED)
    exchange.say(b"some")
    assert hosted.take() == b"4\r\nsome\r\n"
    exchange.say(b"")
    assert hosted.take() == b""
    exchange.say(b"m" * 17)
    exchange.end()
    assert hosted.take() == b"11\r\n" + b"m" * 17 + b"\r\n0\r\n\r\n"
    assert keeps_alive(hosted)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_sends_none(hosted: Hosted, status: int) -> None:
    hosted.send(ask("GET", "/log")).answer(b"ignored", status=status, headers=[("ETag", "x")])
    assert hosted.take() == head(f"{status} Reason", "ETag: x")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "9")]])
def test_an_answer_to_head_has_no_body(hosted: Hosted, headers: list[tuple[str, str]]) -> None:
    hosted.send(ask("HEAD", "/log")).answer(b"forgotten", headers=headers)
    assert hosted.take() == head("200 Reason", *map(": ".join, headers))
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "8")]])
@pytest.mark.parametrize(
    "request_",
    [
        ask("GET", HEADS).replace(b"HTTP/1.1", b"HTTP/1.0"),
        ask("GET", HEADS, {"Connection": "close"}),
    ],
    ids=["http10", "close"],
)
def test_who_wants_the_connection_closed_gets_no_chunks(
    hosted: Hosted, request_: bytes, headers: list[tuple[str, str]]
) -> None:
    hosted.send(request_).answer(b"some", b"more", headers=headers)
    expected = head("200 Reason", *map(": ".join, headers), "Connection: close")
    assert hosted.take() == expected + b"somemore"
    assert hosted.connection.is_closed


def test_many_requests_on_one_connection_are_answered(hosted: Hosted) -> None:
    for number in range(20):
        body = b"%d" * number
        exchange = hosted.send(posted(UNBUNDLE, body) if number % 2 else ask("GET", HEADS))
        exchange.answer(b"%d" % number)
        assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"%d" % number)
    assert len(hosted.workers.exchanges) == 20


def test_pipelined_requests_are_answered_one_after_the_other(hosted: Hosted) -> None:
    first = hosted.send(ask("GET", HEADS) + posted(UNBUNDLE, b"bundle") + ask("GET", "/log"))
    assert len(hosted.workers.asked) == 1
    first.begin()
    first.say(b"one")
    assert len(hosted.workers.asked) == 1
    first.end()
    assert len(hosted.workers.asked) == 2
    second = hosted.workers.last
    assert (second.feed.data, second.feed.data_ended) == (b"bundle", True)
    second.answer(b"two", headers=[("Content-Length", "3")])
    hosted.workers.last.answer(b"three")
    assert hosted.take() == b"".join(
        [
            head("200 OK", CHUNKED) + chunks(b"one"),
            head("200 Reason", "Content-Length: 3") + b"two",
            head("200 Reason", CHUNKED) + chunks(b"three"),
        ]
    )
    assert keeps_alive(hosted)


def test_a_refusal_in_front_of_an_answer_keeps_the_order(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS) + ask("GET", UNBUNDLE))
    exchange.answer(b"first")
    expected = head("200 Reason", CHUNKED) + chunks(b"first")
    answer = hosted.take()
    assert answer.startswith(expected + b"HTTP/1.1 405 push requires POST request\r\n")
    assert keeps_alive(hosted)


# --- back-pressure on the answer -----------------------------------------------------------------


def test_a_client_that_reads_slowly_makes_the_worker_wait(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    hosted.take()
    hosted.channel.pauseProducing()
    piece = bytes(16 * KIB)
    said = 0
    while not exchange.feed.is_paused:
        exchange.say(piece)
        said += 1
    assert said * len(piece) <= BUFFER + 2 * len(piece)
    assert len(hosted.take()) <= len(piece) + 10
    hosted.channel.resumeProducing()
    assert exchange.feed == Feed(is_paused=False)
    exchange.say(piece)
    exchange.end()
    assert hosted.take().endswith(chunks(piece))
    assert keeps_alive(hosted)


# --- clients that leave --------------------------------------------------------------------------


def test_a_client_that_leaves_inside_the_answer_leaves_the_stream(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    exchange.say(b"some")
    hosted.lose()
    assert exchange.has_left
    exchange.say(b"more")
    exchange.end()


def test_a_client_that_leaves_while_it_is_paused_leaves_the_stream(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    hosted.channel.pauseProducing()
    exchange.say(b"some", b"more")
    hosted.lose()
    assert exchange.has_left


def test_a_client_that_leaves_inside_its_body_breaks_the_command_data(hosted: Hosted) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"body")[:-1])
    hosted.lose()
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"bod", False)
    assert exchange.feed.is_broken
    assert exchange.has_left


def test_a_client_that_leaves_behind_its_body_leaves_the_worker_the_whole_of_it(
    hosted: Hosted,
) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"body"))
    hosted.lose()
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    assert not exchange.feed.is_broken
    assert exchange.has_left


def test_who_waits_for_a_worker_without_a_body_is_seen_to_leave() -> None:
    hosted = Hosted()
    hosted.workers.are_busy = True
    hosted.connection.send(ask("GET", HEADS))
    # A transport that is paused would not tell.
    assert hosted.transport.producerState == "producing"
    hosted.web.clock.advance(100_000)
    assert not hosted.connection.is_closed
    hosted.workers.are_busy = False
    hosted.workers.waiting[0].callback(None)
    hosted.workers.last.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("end", [None, -1])
def test_a_client_that_leaves_before_there_is_a_worker_waits_for_none(
    hosted: Hosted, end: int | None
) -> None:
    hosted.workers.are_busy = True
    hosted.connection.send(posted(UNBUNDLE, b"body")[:end])
    (waiting,) = hosted.workers.waiting
    states = [waiting.called]
    hosted.lose()
    assert [*states, waiting.called] == [False, True], "it is cancelled"
    assert hosted.workers.exchanges == []
    assert hosted.take() == b""


# --- workers that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "phrase", "shown"),
    [
        (ServerError("busy: 64 wait"), "busy: 64 wait", b"busy: 64 wait\n"),
        (CommandError(b"%s refused", [b"it"]), "it refused", b"it refused\n"),
        # What hooks have printed is behind the reason.
        (ServerError("f\xfcll\r\nX: y"), "f??ll?", b"f\xc3\xbcll\r\nX: y\n"),
        (ServerError("a" * 300), "a" * 200, b"a" * 300 + b"\n"),
        (ServerError(""), "Service Unavailable", b"\n"),
    ],
)
def test_an_error_in_front_of_the_answer_is_a_503_that_says_it_in_its_phrase_too(
    hosted: Hosted, error: Exception, phrase: str, shown: bytes
) -> None:
    hosted.send(ask("GET", HEADS)).stream.fail(error)
    expected = head(f"503 {phrase}", "Content-Type: text/plain", f"Content-Length: {len(shown)}")
    assert hosted.take() == expected + shown
    assert keeps_alive(hosted)


def test_a_worker_that_cannot_be_had_is_a_503(hosted: Hosted) -> None:
    hosted.workers.are_busy = True
    hosted.connection.send(ask("GET", HEADS))
    hosted.workers.waiting[0].errback(ServerError("busy"))
    assert hosted.take().startswith(b"HTTP/1.1 503 ")
    hosted.workers.are_busy = False
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "8")]])
def test_an_error_inside_the_answer_cuts_it_off(
    hosted: Hosted, headers: list[tuple[str, str]]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin(200, b"OK", *headers)
    exchange.say(b"some")
    exchange.stream.fail(ServerError("gone"))
    sent = hosted.take()
    assert sent.endswith(b"some" if headers else b"4\r\nsome\r\n")
    assert hosted.connection.is_closed
    hosted.lose()


@pytest.mark.parametrize("value", [b"no head", [1], None])
def test_what_is_no_answer_is_a_500(hosted: Hosted, value: Value) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.stream.receive(OK_MAP)
    exchange.say(value)
    assert hosted.take().startswith(b"HTTP/1.1 500 ")
    assert exchange.has_left
    assert keeps_alive(hosted)


def test_no_answer_at_all_is_a_500(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.stream.receive(OK_MAP)
    exchange.end()
    assert hosted.take().startswith(b"HTTP/1.1 500 ")
    assert keeps_alive(hosted)


def test_a_second_head_cuts_the_answer_off(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    exchange.begin()
    assert hosted.connection.is_closed
    assert exchange.has_left
    hosted.lose()


# --- the table -----------------------------------------------------------------------------------


def test_an_exchange_goes_one_way_only() -> None:
    state, seen = ExchangeState, ExchangeInput
    expected = {
        (state.WAITING, seen.HEAD): state.RESPONDING,
        (state.WAITING, seen.END): state.OVER,
        (state.RESPONDING, seen.END): state.OVER,
        (state.OVER, seen.END): state.OVER,
    }
    assert expected == TRANSITIONS
