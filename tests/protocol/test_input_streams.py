from __future__ import annotations

from typing import Final

import pytest
from support.feeding import ALL, failed, fed, receive, server
from support.peers import BEGIN, ENCODED, END, frame, request_frames

from wiredaemon.protocol import RequestReceived
from wiredaemon.protocol.states import InputState
from wiredaemon.wire.frames import Frame

EVEN: Final = "received frame with even numbered stream ID: %d"
INACTIVE: Final = "received frame on unknown inactive stream without beginning of stream flag set"
CODED: Final = "content encoded frames are not accepted from clients"


def request(dialect: str, *, request_id: int = 1, stream_id: int = 1, flags: int = BEGIN) -> bytes:
    """Return a whole request in one frame, with any stream flags."""
    whole = bytearray(request_frames(dialect, request_id, b"command")[0])
    whole[5], whole[6] = stream_id, flags
    return bytes(whole)


def received(request_id: int) -> RequestReceived:
    return RequestReceived(request_id=request_id, command=b"command", arguments={})


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("stream_id", [0, 2, 254])
def test_an_even_stream_is_refused(dialect: str, stream_id: int) -> None:
    # server-state-machine 1.3, point 1
    outcome = fed(dialect, request(dialect, stream_id=stream_id))
    assert outcome.events == [failed(EVEN % stream_id)]
    assert outcome.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", ALL)
def test_a_stream_that_was_not_begun_is_refused(dialect: str) -> None:
    # point 2
    assert fed(dialect, request(dialect, flags=0)).events == [failed(INACTIVE)]


@pytest.mark.parametrize("dialect", ALL)
def test_each_stream_is_begun_for_itself(dialect: str) -> None:
    events = fed(dialect, request(dialect), request(dialect, stream_id=3, flags=0)).events
    assert events == [received(1), failed(INACTIVE)]


@pytest.mark.parametrize("dialect", ALL)
def test_a_content_encoded_frame_is_refused(dialect: str) -> None:
    # point 3, HTTP 500 in the original
    outcome = fed(dialect, request(dialect, flags=BEGIN | ENCODED))
    assert outcome.events == [failed(CODED, malformed=True)]
    assert outcome.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", ALL)
def test_parity_is_checked_before_the_beginning_and_that_before_the_encoding(dialect: str) -> None:
    assert fed(dialect, request(dialect, stream_id=2, flags=ENCODED)).events == [failed(EVEN % 2)]
    assert fed(dialect, request(dialect, flags=ENCODED)).events == [failed(INACTIVE)]


@pytest.mark.parametrize("dialect", ALL)
def test_streams_are_checked_before_the_state(dialect: str) -> None:
    wrong = frame(15, 0, stream_id=1, stream_flags=0)
    assert fed(dialect, wrong).events == [failed(INACTIVE)]


@pytest.mark.parametrize("dialect", ALL)
def test_a_frame_that_ends_its_stream_still_counts(dialect: str) -> None:
    # point 4
    assert fed(dialect, request(dialect, flags=BEGIN | END)).events == [received(1)]


@pytest.mark.parametrize("dialect", ALL)
def test_after_its_end_a_stream_must_be_begun_again(dialect: str) -> None:
    ended = request(dialect, flags=BEGIN | END)
    events = fed(dialect, ended, request(dialect, request_id=3, flags=0)).events
    assert events == [received(1), failed(INACTIVE)]
    events = fed(dialect, ended, request(dialect, request_id=3, flags=BEGIN)).events
    assert events == [received(1), received(3)]


@pytest.mark.parametrize("dialect", ALL)
def test_an_open_stream_may_be_begun_again(dialect: str) -> None:
    events = fed(dialect, request(dialect), request(dialect, request_id=3)).events
    assert events == [received(1), received(3)]


@pytest.mark.parametrize("dialect", ALL)
def test_several_streams_are_accepted(dialect: str) -> None:
    # framing 13
    frames = [
        request(dialect, request_id=1, stream_id=1),
        request(dialect, request_id=3, stream_id=255),
        request(dialect, request_id=5, stream_id=1, flags=0),
        request(dialect, request_id=7, stream_id=255, flags=0),
    ]
    assert fed(dialect, *frames).events == [received(1), received(3), received(5), received(7)]


@pytest.mark.parametrize("dialect", ALL)
def test_unknown_stream_flags_are_ignored(dialect: str) -> None:
    # framing 3
    assert fed(dialect, request(dialect, flags=0xF8 | BEGIN)).events == [received(1)]


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("request_id", [0, 2, 65535])
def test_the_parity_of_request_ids_is_never_checked(dialect: str, request_id: int) -> None:
    # framing 14
    assert fed(dialect, request(dialect, request_id=request_id)).events == [received(request_id)]


def shaped(stream_id: int, stream_flags: int) -> Frame:
    return Frame(1, stream_id, stream_flags, 1, 1, b"\xa1Dname@")


@pytest.mark.parametrize("dialect", ALL)
def test_after_a_failure_stream_errors_come_again_and_all_else_is_one_text(dialect: str) -> None:
    # server-state-machine 1.3 and 1.4
    connection = server(dialect)
    assert connection.receive_frame(shaped(2, BEGIN)) == [failed(EVEN % 2)]
    assert connection.receive_frame(shaped(4, BEGIN)) == [failed(EVEN % 4)]
    assert connection.receive_frame(shaped(1, 0)) == [failed(INACTIVE)]
    assert connection.receive_frame(shaped(1, ENCODED | BEGIN)) == [failed(CODED, malformed=True)]
    for _ in range(2):
        assert connection.receive_frame(shaped(1, BEGIN)) == [failed("server already errored")]
        assert connection.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", ALL)
def test_bytes_after_a_failure_are_not_looked_at(dialect: str) -> None:
    connection = server(dialect)
    assert receive(connection, request(dialect, stream_id=2)) == [failed(EVEN % 2)]
    assert receive(connection, request(dialect, stream_id=2)) == []
    assert connection.receive_end() == []
    assert connection.failed
