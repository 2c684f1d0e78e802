"""HTTP/1.1 as a client reads and writes it; the source of each rule is RFC 9112."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from wiredaemon.client.http_messages import (
    End,
    Head,
    HttpMessageError,
    RequestHead,
    ResponseReader,
    chunk,
)

if TYPE_CHECKING:
    from wiredaemon.client.http_messages import Event

CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_HEAD: Final = Head(200, b"OK", [(b"transfer-encoding", b"chunked")])
WHOLE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
WHOLE_HEAD: Final = Head(200, b"OK", [(b"content-length", b"2")])


def read(*pieces: bytes) -> tuple[list[Event], ResponseReader]:
    reader = ResponseReader()
    return [event for piece in pieces for event in reader.receive_data(piece)], reader


def joined(events: list[Event]) -> list[Event]:
    """Return events with the pieces of a body as one."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        else:
            result.append(event)
    return result


# --- requests ----------------------------------------------------------------------------------


def test_the_head_of_a_request() -> None:
    head = RequestHead(b"POST", b"/a?b=c", [(b"Host", b"example.org"), (b"X", b"")])
    assert head.encode() == b"POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nX: \r\n\r\n"


@pytest.mark.parametrize("part", [b"a\nb", b"a\rb", b"a\r\nb: c", b"a\0b"])
def test_no_part_of_a_head_ends_its_line(part: bytes) -> None:
    for head in (
        RequestHead(part, b"/", []),
        RequestHead(b"GET", part, []),
        RequestHead(b"GET", b"/", [(part, b"")]),
        RequestHead(b"GET", b"/", [(b"X", part)]),
    ):
        with pytest.raises(HttpMessageError, match="the end of a line in it, or a NUL"):
            head.encode()


def test_chunks_of_a_body() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert chunk(b"") == b""


# --- responses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "events"),
    [
        (WHOLE, [WHOLE_HEAD, b"hi", End(keeps_connection=True)]),
        (
            CHUNKED + b"1\r\nh\r\n1;a=b\r\ni\r\n0\r\nX: y\r\n\r\n",
            [CHUNKED_HEAD, b"hi", End(keeps_connection=True)],
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + WHOLE,
            [WHOLE_HEAD, b"hi", End(keeps_connection=True)],
        ),
        (b"HTTP/1.1 204 None\r\n\r\n", [Head(204, b"None", []), End(keeps_connection=True)]),
        (
            b"HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            [
                Head(200, b"", [(b"content-length", b"0"), (b"connection", b"close")]),
                End(keeps_connection=False),
            ],
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
            [Head(200, b"OK", [(b"content-length", b"1")]), b"x", End(keeps_connection=False)],
        ),
    ],
)
def test_a_response_is_read_cut_in_any_way(content: bytes, events: list[Event]) -> None:
    assert read(content)[0] == events
    assert joined(read(*[bytes([octet]) for octet in content])[0]) == events
    for size in (2, 7, 31):
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        found, reader = read(*pieces)
        assert (joined(found), reader.error, reader.has_surplus) == (events, None, False)


def test_the_pieces_of_a_body_that_come_at_once_are_one() -> None:
    events, _ = read(CHUNKED + b"1\r\na\r\n1\r\nb\r\n", b"1\r\nc\r\n")
    assert events == [CHUNKED_HEAD, b"ab", b"c"]


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    events, reader = read(b"HTTP/1.1 200 OK\r\n\r\nhi", b"more")
    assert events == [Head(200, b"OK", []), b"hi", b"more"]
    assert reader.ends_with_connection


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 200 OK\r\n", WHOLE[:-1], CHUNKED])
def test_others_do_not(content: bytes) -> None:
    assert not read(content)[1].ends_with_connection


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        CHUNKED + b"zz",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
    ],
)
def test_what_is_no_response_is_an_error(content: bytes) -> None:
    events, reader = read(content)
    assert isinstance(reader.error, HttpMessageError)
    assert all(isinstance(event, Head) for event in events)
    assert reader.receive_data(WHOLE) == []


def test_what_came_before_an_error_is_given() -> None:
    events, reader = read(CHUNKED + b"2\r\nhi\r\nzz")
    assert events == [CHUNKED_HEAD, b"hi"]
    assert str(reader.error) == "Invalid character in chunk size"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nX: ", *[b"x" * 1024] * 65],
        [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n" * 100] * 400],
        [b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 40_000],
        [CHUNKED, b"0\r\nX: ", *[b"x" * 1024] * 65],
        [b"HTTP/1.1 200 ", *[b"x" * 1024] * 65],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 3000,
        [b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"] * 3000,
    ],
)
def test_heads_have_a_limit(pieces: list[bytes]) -> None:
    assert str(read(*pieces)[1].error) == "a head of more than 65536 bytes"


def test_a_long_body_of_small_pieces_is_no_head() -> None:
    events, reader = read(CHUNKED, *[b"1\r\nx\r\n"] * 70_000)
    assert (len(events), reader.error) == (70_001, None)


@pytest.mark.parametrize("surplus", [WHOLE, b"HTTP/1.1 2", b"x"])
def test_what_nobody_asked_for_is_known(surplus: bytes) -> None:
    reader = ResponseReader()
    reader.receive_data(WHOLE)
    assert not reader.has_surplus
    reader.begin()
    reader.receive_data(WHOLE + surplus)
    assert reader.has_surplus


def test_each_request_has_a_response() -> None:
    reader = ResponseReader()
    for _ in range(3000):
        reader.begin()
        assert reader.receive_data(WHOLE) == [WHOLE_HEAD, b"hi", End(keeps_connection=True)]
    assert not reader.has_surplus
