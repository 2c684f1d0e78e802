"""Content encodings of responses as a client meets them: framing 12, server-state-machine 2.3."""

from __future__ import annotations

import itertools
import zlib
from typing import Final

import pytest
from support.feeding import ALL, failed, fed_to_client, receive
from support.peers import BEGIN, ENCODED, END, NUMBERS, frame, item

from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    Event,
    LocalProtocolError,
    ProgressReceived,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.encodings import DECODED_STEP, ENCODERS
from wiredaemon.wire.limits import Limits

CONTINUATION, EOS = 1, 2
MIB: Final = 1 << 20
NAMES: Final = {b"zlib": b"Dzlib", b"zstd-8mb": b"Hzstd-8mb", b"identity": b"Hidentity"}
BOTH: Final = (b"zlib", b"zstd-8mb")


def client(limits: Limits | None = None) -> ClientConnection:
    """Return a connection that waits for the answers to requests 1 and 3."""
    connection = ClientConnection(content_encodings=list(NAMES), limits=limits or Limits())
    assert [connection.send_command(b"command", {}) for _ in range(2)] == [1, 3]
    connection.data_to_send()
    return connection


def events_of(*frames: bytes, limits: Limits | None = None) -> list[Event]:
    return fed_to_client(lambda: client(limits), *frames)


def settings(profile: bytes, **fields: int) -> bytes:
    return frame(9, EOS, NAMES[profile], **{"stream_id": 2, **fields})


def coded(flags: int, payload: bytes, **fields: int) -> bytes:
    return frame(3, flags, payload, **{"stream_id": 2, "stream_flags": ENCODED, **fields})


def got(data: bytes, *, request_id: int = 1, end: bool = False) -> ResponseDataReceived:
    return ResponseDataReceived(request_id=request_id, data=data, end=end)


# --- what a server of the protocol sends ---------------------------------------------------------


def test_the_zlib_example_is_read() -> None:
    # framing 12: `x\x9c` alone, then the objects in one frame that ends the response
    block = b"Z\xe8V\\\x92XRZ\xec\x94\x9f\xed\x9c\x98\x94\xec\x98\x02\x00\x00\x00\xff\xff"
    frames = [settings(b"zlib"), coded(CONTINUATION, b"x\x9c"), coded(EOS, block)]
    assert events_of(*frames) == [got(b""), got(b"\xa1FstatusBokCabcAd", end=True)]


@pytest.mark.parametrize("profile", BOTH)
def test_one_context_spans_all_responses_of_a_stream(profile: bytes) -> None:
    encoder = ENCODERS[profile]()
    first = encoder.encode(b"one" * 10) + encoder.flush()
    second = encoder.encode(b"one" * 10) + encoder.flush()
    frames = [settings(profile), coded(EOS, first), coded(CONTINUATION, second, request_id=3)]
    assert events_of(*frames) == [
        got(b"one" * 10, end=True),
        got(b"one" * 10, request_id=3),
    ]


@pytest.mark.parametrize("profile", BOTH)
def test_a_response_may_be_cut_into_frames_anywhere(profile: bytes) -> None:
    encoder = ENCODERS[profile]()
    sent = encoder.encode(b"content") + encoder.flush()
    for place in range(len(sent) + 1):
        connection = client()
        receive(connection, settings(profile))
        events = receive(connection, coded(CONTINUATION, sent[:place]) + coded(EOS, sent[place:]))
        assert b"".join(one.data for one in events if isinstance(one, ResponseDataReceived)) == (
            b"content"
        )
        assert events[-1] == got(events[-1].data, end=True)  # type: ignore[union-attr]


def test_frames_without_the_flag_are_not_decoded_and_streams_have_their_own_contexts() -> None:
    zstd, zlib_encoder = ENCODERS[b"zstd-8mb"](), ENCODERS[b"zlib"]()
    one = zstd.encode(b"one") + zstd.flush()
    two = zlib_encoder.encode(b"two") + zlib_encoder.flush()
    four = zstd.encode(b"four") + zstd.flush()
    frames = [
        settings(b"zstd-8mb"),
        settings(b"zlib", stream_id=4),
        coded(CONTINUATION, one),
        coded(CONTINUATION, two, stream_id=4, request_id=3),
        coded(CONTINUATION, b"three", stream_flags=0),
        coded(CONTINUATION, four),
        coded(CONTINUATION, b"five", stream_id=6, stream_flags=BEGIN | ENCODED),
    ]
    assert events_of(*frames) == [
        got(b"one"),
        got(b"two", request_id=3),
        got(b"three"),
        got(b"four"),
        got(b"five"),
    ]


def test_a_stream_that_begins_again_after_its_end_has_no_encoding() -> None:
    last = coded(CONTINUATION, b"x\x9c", stream_flags=ENCODED | END)
    anew = coded(CONTINUATION, b"data", stream_flags=BEGIN | ENCODED)
    assert events_of(settings(b"zlib"), last, anew) == [got(b""), got(b"data")]


def test_an_encoding_can_be_set_anew_on_its_stream() -> None:
    encoder = ENCODERS[b"zlib"]()
    sent = encoder.encode(b"data") + encoder.flush()
    frames = [
        settings(b"zlib"),
        coded(CONTINUATION, sent),
        settings(b"zlib"),
        coded(CONTINUATION, sent),
        settings(b"identity"),
        coded(CONTINUATION, b"plain"),
    ]
    assert events_of(*frames) == [got(b"data"), got(b"data"), got(b"plain")]


@pytest.mark.parametrize("profile", BOTH)
def test_all_frame_types_may_be_encoded(profile: bytes) -> None:
    # 2.3, point 3, is in front of the type
    encoder = ENCODERS[profile]()

    def say(number: int, value: object) -> bytes:
        payload = encoder.encode(item(value, canonical=False)) + encoder.flush()
        return frame(number, 0, payload, stream_id=2, stream_flags=ENCODED)

    frames = [
        settings(profile),
        say(6, [{b"msg": b"text"}]),
        say(7, {b"topic": b"t", b"pos": 1}),
        say(5, {b"type": b"server", b"message": [{b"msg": b"boom"}]}),
    ]
    assert events_of(*frames) == [
        TextOutputReceived(request_id=1, text=b"text"),
        ProgressReceived(request_id=1, topic=b"t", position=1, total=None),
        RequestFailed(request_id=1, kind=b"server", message=b"boom"),
    ]


def test_settings_may_be_encoded_too() -> None:
    encoder = ENCODERS[b"zlib"]()
    anew = encoder.encode(b"Hidentity") + encoder.flush()
    again = frame(9, EOS, anew, stream_id=2, stream_flags=ENCODED)
    assert events_of(settings(b"zlib"), again, coded(CONTINUATION, b"data")) == [got(b"data")]


# --- what it must not send -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "sent", "text"),
    [
        (b"zlib", b"no zlib", "content is not in the encoding zlib: Error -3"),
        (b"zlib", zlib.compress(b"") + b"!", "content goes on after the end of its zlib stream"),
        (b"zstd-8mb", b"no zstd!!", "content is not in the encoding zstd-8mb"),
        (b"zstd-8mb", b"\x28\xb5\x2f\xfd\x00\x88\x18\x00\x00abc", "window is at most 8388608"),
    ],
)
@pytest.mark.parametrize("kind", [3, 5, 6, 7, 9])
def test_content_that_cannot_be_decoded_fails_the_connection(
    profile: bytes, sent: bytes, text: str, kind: int
) -> None:
    bad = frame(kind, 2, sent, stream_id=2, stream_flags=ENCODED)
    events = events_of(settings(profile), coded(CONTINUATION, b""), bad)
    assert events[0] == got(b"")
    assert isinstance(events[1], ConnectionFailed)
    assert text in events[1].error.message
    assert events[1].error.malformed
    assert len(events) == 2


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "0006"])
def test_dialects_before_0006_have_no_encoded_frames(dialect: str) -> None:
    # 2.3, point 3: the original had no answer
    connection = ClientConnection(DIALECTS[dialect])
    connection.send_command(b"c", {})
    sent = frame(NUMBERS[dialect]["response"], EOS, b"", stream_id=2, stream_flags=BEGIN | ENCODED)
    text = f"content encoded frames are no part of dialect {dialect}"
    assert receive(connection, sent) == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "0006"])
def test_dialects_before_0006_have_no_stream_settings(dialect: str) -> None:
    # framing 11: documented, "never sent, never handled"
    connection = ClientConnection(DIALECTS[dialect])
    connection.send_command(b"c", {})
    sent = frame(8, 0, b"\x08identity", stream_id=2)
    assert receive(connection, sent) == [failed("unhandled frame type: 8")]


# --- bounds --------------------------------------------------------------------------------------


def bomb(profile: bytes, mebibytes: int) -> bytes:
    """Encode so many mebibytes of zeros and cut them into frames that end a response."""
    encoder = ENCODERS[profile]()
    piece = bytes(MIB)
    content = b"".join([*(encoder.encode(piece) for _ in range(mebibytes)), encoder.flush()])
    pieces = [content[start : start + 32768] for start in range(0, len(content), 32768)]
    frames = [coded(CONTINUATION, piece) for piece in pieces[:-1]]
    return b"".join([settings(profile), *frames, coded(EOS, pieces[-1])])


def drained(connection: ClientConnection, data: bytes) -> list[list[Event]]:
    """Return the events of each call until nothing is pending."""
    calls = [receive(connection, data)]
    while connection.pending:
        calls.append(receive(connection, b""))
    return calls


@pytest.mark.parametrize("profile", BOTH)
def test_a_bomb_comes_in_calls_of_about_a_mebibyte(profile: bytes) -> None:
    connection = client()
    calls = 0
    total = 0
    ended = False
    data = bomb(profile, 24)
    while data or connection.pending:
        events = receive(connection, data)
        data = b""
        assert not ended
        sizes = [len(one.data) for one in events if isinstance(one, ResponseDataReceived)]
        assert len(sizes) == len(events)
        assert max(sizes, default=0) <= DECODED_STEP
        assert sum(sizes) <= MIB + DECODED_STEP
        total += sum(sizes)
        calls += 1
        ended = any(one.end for one in events if isinstance(one, ResponseDataReceived))
    assert (total, ended) == (24 * MIB, True)
    assert calls >= 22
    assert connection.active == {3}


@pytest.mark.parametrize("profile", BOTH)
def test_how_a_bomb_is_cut_and_when_it_is_read_makes_no_difference(profile: bytes) -> None:
    data = bomb(profile, 3) + coded(EOS, b"plain", stream_flags=0, request_id=3)
    whole = client(Limits(decoded_size=100_000))
    expected = list(itertools.chain(*drained(whole, data)))
    assert expected[-1] == got(b"plain", request_id=3, end=True)
    content = b"".join(one.data for one in expected[:-1] if isinstance(one, ResponseDataReceived))
    assert content == bytes(3 * MIB)

    eager = client(Limits(decoded_size=100_000))
    events: list[Event] = []
    for start in range(0, len(data), 100):  # given while much is pending
        events += receive(eager, data[start : start + 100])
    assert events + list(itertools.chain(*drained(eager, b""))) == expected
    assert eager.receive_end() == []


def test_content_that_is_not_decoded_is_not_counted() -> None:
    limits = Limits(decoded_size=10)
    connection = client(limits)
    data = settings(b"identity") + coded(CONTINUATION, bytes(20000)) * 100
    assert receive(connection, data) == [got(bytes(20000))] * 100
    assert not connection.pending


def test_nothing_is_pending_after_a_failure() -> None:
    connection = client(Limits(decoded_size=10))
    encoder = ENCODERS[b"zlib"]()
    sent = encoder.encode(bytes(100)) + encoder.flush()
    data = settings(b"zlib") + coded(CONTINUATION, sent) + coded(EOS, b"", stream_id=1)
    text = "received frame with odd numbered stream ID: 1"
    assert drained(connection, data) == [[got(bytes(100))], [failed(text)]]
    assert receive(connection, coded(EOS, b"")) == []


def test_the_end_comes_behind_all_that_is_pending() -> None:
    connection = client(Limits(decoded_size=10))
    encoder = ENCODERS[b"zlib"]()
    receive(connection, settings(b"zlib") + coded(EOS, encoder.encode(b"") + encoder.flush()))
    sent = encoder.encode(bytes(100)) + encoder.flush()
    receive(connection, coded(EOS, sent, request_id=3))
    with pytest.raises(LocalProtocolError, match="events are pending"):
        connection.receive_end()
    assert receive(connection, b"") == []
    assert connection.receive_end() == []


@pytest.mark.parametrize("profile", BOTH)
@pytest.mark.parametrize(("kind", "name"), [(5, "error-response"), (6, "text-output")])
def test_content_that_is_returned_whole_has_a_limit(profile: bytes, kind: int, name: str) -> None:
    encoder = ENCODERS[profile]()
    sent = encoder.encode(bytes(50 * MIB)) + encoder.flush()
    data = settings(profile) + frame(kind, 0, sent, stream_id=2, stream_flags=ENCODED)
    text = f"decoded content of a {name} frame exceeds the limit of 65536 bytes (frame_payload)"
    assert receive(client(), data) == [failed(text, malformed=True)]


def test_decoded_settings_have_the_limit_of_settings() -> None:
    encoder = ENCODERS[b"zlib"]()
    sent = encoder.encode(b"Y" + (17000).to_bytes(2, "big") + bytes(17000)) + encoder.flush()
    data = settings(b"zlib") + frame(9, EOS, sent, stream_id=2, stream_flags=ENCODED)
    text = "stream encoding settings frame exceeds the limit of 16384 bytes (settings_size)"
    assert receive(client(), data) == [failed(text, malformed=True)]


def test_streams_in_an_encoding_have_a_limit() -> None:
    limits = Limits(encoded_streams=2)
    two = [settings(b"zlib", stream_id=2), settings(b"zstd-8mb", stream_id=4)]
    others = [settings(b"identity", stream_id=6), settings(b"zstd-8mb", stream_id=2)]
    assert events_of(*two, *others, limits=limits) == []
    ended = coded(CONTINUATION, b"", stream_flags=END)
    third = settings(b"zlib", stream_id=8)
    assert events_of(*two, ended, third, limits=limits) == [got(b"")]
    text = "streams in a content encoding exceed the limit of 2 (encoded_streams)"
    assert events_of(*two, third, limits=limits) == [failed(text, malformed=True)]
