"""Content encoded command data of clients: sessions 5."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import failed, feed_every_way, joined, receive, server
from support.peers import BEGIN, ENCODED, END, WireFrame, frame, parse_frames

from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    DataReceived,
    Event,
    LocalProtocolError,
    RequestCancelled,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.wire.encodings import LARGEST_WINDOW
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

KIB: Final = 1024
OFFER: Final = frame(8, 2, b"\xa1Gsession\x01")
CONTINUATION, EOS = 1, 2
NEW, DATA = 1, 8
PROFILES: Final = (b"zstd-8mb", b"zlib", b"identity")


def in_session(limits: Limits | None = None) -> ServerConnection:
    connection = server("0006", half_duplex=False, limits=limits)
    assert receive(connection, OFFER) == []
    connection.data_to_send()
    return connection


def announced(request_id: int = 1) -> bytes:
    return frame(1, NEW | DATA, b"\xa1DnameAc", request_id=request_id)


def settings(payload: bytes = b"Dzlib", *, stream_id: int = 3) -> bytes:
    return frame(9, EOS, payload, stream_id=stream_id)


def encoded(flags: int, payload: bytes, *, kind: int = 2, stream_flags: int = ENCODED) -> bytes:
    return frame(kind, flags, payload, stream_id=3, stream_flags=stream_flags)


def events_of(*frames: bytes, limits: Limits | None = None) -> list[Event]:
    return feed_every_way(
        lambda: in_session(limits), b"".join(frames), frame(1, NEW, b"\xa1DnameAc", request_id=9)
    )


def data_of(events: Iterable[Event], request_id: int = 1) -> bytes:
    return b"".join(
        one.data for one in events if isinstance(one, DataReceived) and one.request_id == request_id
    )


def error_of(events: list[Event]) -> ConnectionFailed:
    assert isinstance(events[-1], ConnectionFailed)
    return events[-1]


# --- at the server -------------------------------------------------------------------------------


def test_encoded_data_is_decoded_with_one_context_for_all_requests_of_the_stream() -> None:
    packer = zlib.compressobj()
    first = packer.compress(b"first") + packer.flush(zlib.Z_SYNC_FLUSH)
    second = packer.compress(b"second") + packer.flush(zlib.Z_SYNC_FLUSH)
    two = frame(2, EOS, second, request_id=3, stream_id=3, stream_flags=ENCODED)
    events = events_of(announced(1), announced(3), settings(), encoded(EOS, first), two)
    assert data_of(events, 1) == b"first"
    assert data_of(events, 3) == b"second"
    assert [one for one in events if isinstance(one, RequestCompleted)] == [
        RequestCompleted(request_id=1),
        RequestCompleted(request_id=3),
    ]


def test_plain_data_may_come_on_other_streams_beside_it() -> None:
    packed = zlib.compress(b"packed")
    events = events_of(
        announced(),
        settings(),
        frame(2, CONTINUATION, b"plain "),
        encoded(EOS, packed),
    )
    assert data_of(events) == b"plain packed"


@pytest.mark.parametrize("piece", [b"", b"x"])
def test_identity_and_streams_without_settings_are_what_they_are(piece: bytes) -> None:
    for before in (b"", settings(b"Hidentity")):
        events = events_of(announced(), before, encoded(EOS, piece, stream_flags=BEGIN | ENCODED))
        assert data_of(events) == piece
        assert events[-1] == RequestCompleted(request_id=1)


def test_a_stream_that_has_ended_begins_without_settings() -> None:
    last = encoded(CONTINUATION, zlib.compress(b"one"), stream_flags=ENCODED | END)
    again = encoded(EOS, b"two", stream_flags=BEGIN | ENCODED)
    events = events_of(announced(), settings(), last, again)
    assert data_of(events) == b"onetwo"


def test_cancelled_requests_leave_the_context_whole() -> None:
    packer = zlib.compressobj()
    first = packer.compress(b"dropped") + packer.flush(zlib.Z_SYNC_FLUSH)
    second = packer.compress(b"dropped, and not") + packer.flush(zlib.Z_SYNC_FLUSH)
    cancel = frame(13, 2, request_id=1)
    two = frame(2, EOS, second, request_id=3, stream_id=3, stream_flags=ENCODED)
    events = events_of(announced(1), announced(3), cancel, settings(), encoded(EOS, first), two)
    assert RequestCancelled(request_id=1) in events
    assert data_of(events, 1) == b""
    assert data_of(events, 3) == b"dropped, and not"


def test_a_bomb_is_decoded_in_steps_and_only_when_asked() -> None:
    limits = Limits(decoded_size=256 * KIB)
    size = 8 * 1024 * KIB
    bomb = zlib.compress(bytes(size))
    assert len(bomb) < 10 * KIB
    connection = in_session(limits)
    events = connection.receive_data(announced() + settings() + encoded(EOS, bomb))
    calls, came = 1, len(data_of(events))
    while connection.pending:
        assert came <= 256 * KIB + 64 * KIB
        assert connection.may_read_on
        events = connection.receive_data(b"")
        calls, came = calls + 1, len(data_of(events))
        size -= came
    assert size < 256 * KIB + 64 * KIB
    assert calls >= 30
    assert events[-1] == RequestCompleted(request_id=1)
    assert all(len(one.data) <= 64 * KIB for one in events if isinstance(one, DataReceived))


def test_many_bombs_of_one_read_are_decoded_one_in_each_call() -> None:
    packer = zlib.compressobj()
    connection = in_session(Limits(decoded_size=64 * KIB))
    frames = announced() + settings()
    for _ in range(20):
        packed = packer.compress(bytes(64 * KIB)) + packer.flush(zlib.Z_SYNC_FLUSH)
        frames += encoded(CONTINUATION, packed)
    came = [len(data_of(connection.receive_data(frames)))]
    while connection.pending:
        came.append(len(data_of(connection.receive_data(b""))))
    assert max(came) <= 128 * KIB
    assert sum(came) == 20 * 64 * KIB


def test_a_bomb_that_nobody_reads_is_stopped_by_the_bound_of_all_data() -> None:
    limits = Limits(command_data=1024 * KIB, decoded_size=256 * KIB)
    bomb = zlib.compress(bytes(4096 * KIB))
    cancel = frame(13, 2, request_id=1)
    text = "decoded data of request 1 exceeds the limit of 1048576 bytes (command_data)"
    for between in (b"", cancel):
        events = events_of(announced(), between, settings(), encoded(EOS, bomb), limits=limits)
        assert error_of(events) == failed(text, malformed=True)


def test_what_decoders_hold_counts_as_held() -> None:
    client, connection = packing(b"zstd-8mb"), in_session()
    number = client.send_command(b"c", {}, has_data=True)
    client.send_data(number, bytes(16 * 1024 * KIB), end=True)
    assert connection.held_input == (0, 0)
    receive(connection, joined(client.data_to_send()))
    assert connection.held_input == (LARGEST_WINDOW, 0)


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (
            encoded(NEW, b"x", kind=1, stream_flags=BEGIN | ENCODED),
            "only command data may be content encoded by clients",
        ),
        (
            settings(stream_id=5) + settings(stream_id=7),
            "streams in a content encoding exceed the limit of 1 (encoded_streams)",
        ),
    ],
)
def test_what_is_not_allowed_is_refused(frames: bytes, text: str) -> None:
    assert error_of(events_of(announced(), frames)) == failed(text, malformed=True)


def test_unknown_profiles_even_streams_and_corrupt_content_are_refused() -> None:
    unknown = events_of(settings(b"Clz4"))
    assert error_of(unknown) == failed("error setting stream decoder: unknown stream decoder: lz4")
    even = events_of(settings(stream_id=4))
    assert error_of(even) == failed("received frame with even numbered stream ID: 4")
    corrupt = error_of(events_of(announced(), settings(), encoded(EOS, b"no zlib")))
    assert "content is not in the encoding zlib" in corrupt.error.message
    behind = zlib.compress(b"x") + b"more"
    assert (
        "goes on after the end"
        in error_of(events_of(announced(), settings(), encoded(EOS, behind))).error.message
    )


def test_without_a_session_nothing_encoded_is_accepted() -> None:
    connection = server("0006", half_duplex=False)
    receive(connection, announced())
    events = receive(connection, encoded(EOS, b"x", stream_flags=BEGIN | ENCODED))
    text = "content encoded frames are not accepted from clients"
    assert events == [failed(text, malformed=True)]


# --- at the client -------------------------------------------------------------------------------


def packing(profile: bytes) -> ClientConnection:
    """Return a client that encodes data, and that has sent nothing but its offer."""
    client, connection = ClientConnection(offers_session=True), server("0006", half_duplex=False)
    number = client.send_command(b"c", {})
    receive(connection, joined(client.data_to_send()))
    connection.send_result(number, b"")
    receive(client, joined(connection.data_to_send()))
    client.encode_data(profile)
    return client


def test_a_client_encodes_on_a_stream_of_its_own_from_the_next_request_on() -> None:
    client, connection = ClientConnection(offers_session=True), server("0006", half_duplex=False)
    before = client.send_command(b"c", {}, has_data=True)
    receive(connection, joined(client.data_to_send()))
    receive(client, joined(connection.data_to_send()))
    client.encode_data(b"zlib")
    client.encode_data(b"zlib")
    client.send_data(before, b"plain", end=True)
    behind = client.send_command(b"c", {}, has_data=True)
    client.send_data(behind, b"packed")
    client.send_data(behind, b"", end=True)
    frames = parse_frames(joined(client.data_to_send()))
    assert frames[0] == WireFrame(before, 1, 0, 2, EOS, b"plain")
    assert frames[2] == WireFrame(behind, 3, BEGIN, 9, EOS, b"Dzlib")
    assert (frames[3].stream_id, frames[3].stream_flags, frames[3].flags) == (3, ENCODED, 1)
    assert zlib.decompressobj().decompress(frames[3].payload) == b"packed"
    assert frames[4] == WireFrame(behind, 3, 0, 2, EOS, b"")


def test_a_client_encodes_only_what_the_server_has_told_and_only_one_profile() -> None:
    with pytest.raises(LocalProtocolError, match="the server has not told that it decodes b'zlib'"):
        ClientConnection(offers_session=True).encode_data(b"zlib")
    client = packing(b"zlib")
    with pytest.raises(LocalProtocolError, match="data is encoded already, with b'zlib'"):
        client.encode_data(b"zstd-8mb")
    with pytest.raises(LocalProtocolError, match="has not told that it decodes b'lz4'"):
        client.encode_data(b"lz4")


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 70_000)), max_size=12),
    st.sampled_from(PROFILES),
    st.integers(1, 50_000),
)
def test_what_is_encoded_arrives_however_it_is_cut(
    pieces: list[tuple[int, int]], profile: bytes, cut: int
) -> None:
    client = ClientConnection(offers_session=True)
    connection = server("0006", half_duplex=False)
    client.send_command(b"c", {})
    receive(connection, joined(client.data_to_send()))
    receive(client, joined(connection.data_to_send()))
    client.encode_data(profile)
    numbers = [client.send_command(b"c", {}, has_data=True) for _ in range(3)]
    expected = dict.fromkeys(numbers, b"")
    for which, size in pieces:
        data = bytes(range(256)) * (size // 256) + b"%d" % size
        client.send_data(numbers[which], data)
        expected[numbers[which]] += data
    for number in numbers:
        client.send_data(number, b"", end=True)
    sent = joined(client.data_to_send())
    events: list[Event] = []
    for start in range(0, len(sent), cut):
        events += receive(connection, sent[start : start + cut])
    assert {number: data_of(events, number) for number in numbers} == expected
    assert sum(isinstance(one, RequestCompleted) for one in events) == 3
    assert [one.request_id for one in events if isinstance(one, RequestReceived)] == numbers
