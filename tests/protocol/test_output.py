from __future__ import annotations

import pytest
from support.feeding import joined
from support.peers import BEGIN, WireFrame, parse_frames

from wiredaemon.protocol import LocalProtocolError
from wiredaemon.protocol.output import Output, OutputStream, OutputStreams
from wiredaemon.wire.dialects import DIALECTS, FrameType
from wiredaemon.wire.frames import FrameError


def streams(dialect: str) -> tuple[Output, OutputStreams]:
    output = Output()
    return output, OutputStreams(DIALECTS[dialect], output)


def test_frames_wait_in_order_and_their_bytes_are_counted() -> None:
    output, made = streams("0003")
    stream = made.acquire()
    stream.send(1, FrameType.BYTES_RESPONSE, 1, b"one")
    stream.send(3, FrameType.BYTES_RESPONSE, 2, b"")
    assert output.size == 8 + 3 + 8
    assert parse_frames(joined(output.take())) == [
        WireFrame(1, 2, BEGIN, 4, 1, b"one"),
        WireFrame(3, 2, 0, 4, 2, b""),
    ]
    assert (output.size, output.take()) == (0, [])


def test_streams_are_even_and_the_lowest_free_one_is_taken() -> None:
    # framing 13
    _, made = streams("0003")
    first, second, third = made.acquire(), made.acquire(), made.acquire()
    assert [stream.stream_id for stream in (first, second, third)] == [2, 4, 6]
    made.release(third)
    made.release(first)
    made.release(second)
    assert [made.acquire().stream_id for _ in range(4)] == [2, 4, 6, 8]


def test_the_last_stream_is_254() -> None:
    _, made = streams("0006")
    ids = [made.acquire().stream_id for _ in range(127)]
    assert ids[-1] == 254
    with pytest.raises(LocalProtocolError, match="every stream is held"):
        made.acquire()


@pytest.mark.parametrize(("dialect", "begins"), [("0002", [1, 1]), ("0003", [1, 0])])
def test_a_released_stream_begins_again_where_the_dialect_restarts(
    dialect: str, begins: list[int]
) -> None:
    output, made = streams(dialect)
    for _ in range(2):
        stream = made.acquire()
        stream.send(1, FrameType.BYTES_RESPONSE, 2, b"")
        made.release(stream)
    assert [one.stream_flags for one in parse_frames(joined(output.take()))] == begins


def test_only_0006_has_content_encodings() -> None:
    for dialect in ("0002", "0003", "0004", "0005"):
        output, made = streams(dialect)
        stream = made.acquire()
        stream.send_settings_once(1)
        assert (stream.encoder, stream.settings_sent, output.size) == (None, False, 0)


def test_settings_are_sent_once() -> None:
    # framing 11
    output, made = streams("0006")
    stream = made.acquire()
    stream.send_settings_once(1)
    stream.send_settings_once(1)
    assert joined(output.take()) == b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"


def test_a_frame_that_does_not_fit_its_header_is_refused() -> None:
    output = Output()
    stream = OutputStream(2, DIALECTS["0003"], output, None)
    with pytest.raises(FrameError):
        stream.send(1 << 16, FrameType.BYTES_RESPONSE, 2, b"")
    assert output.take() == []
