"""Answers of 0006, objects coalesced by pieces and content encoded: framing 6.3 and 12."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final

import pytest
from support.answering import (
    BYTES_ERAS,
    CONTINUATION,
    EOS,
    OK,
    SLICE,
    bytes_of,
    frames_of,
    objects,
    offering,
    result,
    shapes,
    waiting,
)
from support.feeding import joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    NUMBERS,
    WireFrame,
    item,
    parse_frames,
    request_frames,
    settings_frames,
)

from wiredaemon.wire.encodings import ENCODERS
from wiredaemon.wire.values import Encoded, IndefiniteBytes, UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.values import Value

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


SETTINGS: Final = b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"
"""framing 11."""
OK_FRAME: Final = b"\x0b\x00\x00\x01\x00\x02\x041\xa1FstatusBok"
END_FRAME: Final = b"\x00\x00\x00\x01\x00\x02\x002"
"""framing 6.3, step 5: header `00 00 00 <req> 02 00 32`."""


def test_0006_sends_settings_the_ok_map_the_objects_and_an_empty_end() -> None:
    # framing 6.3, steps 2 to 5
    middle = b"\x05\x00\x00\x01\x00\x02\x041Craw\x01"
    assert bytes_of("0006", objects(b"raw", 1)) == SETTINGS + OK_FRAME + middle + END_FRAME


def test_0006_sends_the_ok_map_and_the_end_without_objects() -> None:
    # step 6: "avoid this in a better server: send ok map + eos"
    assert bytes_of("0006", objects()) == SETTINGS + OK_FRAME + END_FRAME


def sizes_of(*values: Value) -> list[int]:
    """Return the payload sizes behind the settings, and check flags and content on the way."""
    frames = frames_of("0006", objects(*values))
    assert frames[0] == WireFrame(1, 2, BEGIN, 9, EOS, b"Hidentity")
    assert all(
        one[:5] == (1, 2, ENCODED, 3, CONTINUATION) and len(one.payload) <= SLICE
        for one in frames[1:-1]
    )
    assert frames[-1] == WireFrame(1, 2, 0, 3, EOS, b"")
    return [len(one.payload) for one in frames[1:]]


def test_four_strings_of_10000_bytes_are_coalesced_by_pieces() -> None:
    # step 4, "Consequence (observed, identity)"
    assert sizes_of(*[bytes(10000)] * 4) == [11, 30012, 10000, 0]


def test_a_string_of_32767_bytes_is_apart_from_its_head() -> None:
    # step 4
    assert sizes_of(bytes(32767)) == [11, 3, 32767, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([bytes(32764)], [11, 32767, 0]),
        ([bytes(32765)], [11, 3, 32765, 0]),
        ([bytes(32768)], [11, 3, 32768, 0]),
        ([bytes(32769)], [11, 3, 32768, 1, 0]),
        ([bytes(65536)], [11, 5, 32768, 32768, 0]),
        ([bytes(65537)], [11, 5, 32768, 32768, 1, 0]),
        ([1, bytes(100_000), 2], [11, 6, 32768, 32768, 32768, 1696, 1, 0]),
        ([bytes(32760), 1, 2, 3, 4, 5], [11, 32767, 1, 0]),
        ([[bytes(20000), bytes(20000)]], [11, 20007, 20000, 0]),
        ([{b"key": bytes(32767)}, 1], [11, 8, 32767, 1, 0]),
        ([{bytes(32767)}], [11, 7, 32767, 0]),
    ],
)
def test_pieces_are_coalesced_up_to_a_frame(values: list[Value], expected: list[int]) -> None:
    # step 4; 32768 buffered bytes are flushed, one fewer may be held
    assert sizes_of(*values) == expected


def test_an_indefinite_string_is_coalesced_like_anything_else() -> None:
    # the last paragraph of 6.3
    value = IndefiniteBytes([b"ab", bytes(32767), b"", b"c"])
    frames = frames_of("0006", objects(value))
    assert [len(one.payload) for one in frames[1:]] == [11, 7, 32767, 4, 0]
    assert b"".join(one.payload for one in frames[2:]) == (
        b"\x5fBab\x59\x7f\xff" + bytes(32767) + b"@Ac\xff"
    )


def test_the_settings_are_sent_once_for_all_responses() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_result(1, 1)
        connection.send_result(3, 3)

    frames = frames_of("0006", act)
    assert [
        (one.request_id, one.stream_id, one.stream_flags, one.type_number) for one in frames
    ] == [
        (1, 2, BEGIN, 9),
        (1, 2, ENCODED, 3),
        (1, 2, ENCODED, 3),
        (1, 2, 0, 3),
        (3, 2, ENCODED, 3),
        (3, 2, ENCODED, 3),
        (3, 2, 0, 3),
    ]


def test_a_client_that_offers_nothing_known_gets_frames_without_settings() -> None:
    # framing 12: "A better server should fall back to unencoded frames without settings"
    assert bytes_of("0006", objects(b"raw"), nothing_offered=True) == (
        b"\x0b\x00\x00\x01\x00\x02\x011\xa1FstatusBok"
        b"\x04\x00\x00\x01\x00\x02\x001Craw"
        b"\x00\x00\x00\x01\x00\x02\x002"
    )


class Holding:
    """An encoder that gives nothing before it is flushed, and then marks what it gives."""

    def __init__(self) -> None:
        self.held = b""

    def encode(self, data: bytes) -> bytes:
        self.held += data
        return b""

    def flush(self) -> bytes:
        data, self.held = self.held, b""
        return b"<" + data + b">"


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> ServerConnection:
    """Return a connection to a client that offers only the encoding ``holding``."""
    monkeypatch.setitem(ENCODERS, b"holding", Holding)
    connection = server("0006", half_duplex=False)
    data = b"".join(settings_frames(b"holding"))
    for request_id in (1, 3):
        data += b"".join(request_frames("0006", request_id, b"command"))
    assert len(receive(connection, data)) == 2
    return connection


HOLDING: Final = WireFrame(1, 2, BEGIN, 9, EOS, b"Gholding")


def test_what_an_encoding_held_back_ends_the_response_encoded(holding: ServerConnection) -> None:
    # framing 6.3, steps 3 and 5: no frame for an ok map without output
    holding.send_result(1, b"raw")
    holding.send_result(3, 1)
    assert parse_frames(joined(holding.data_to_send())) == [
        HOLDING,
        WireFrame(1, 2, ENCODED, 3, EOS, b"<" + OK + b"Craw>"),
        WireFrame(3, 2, ENCODED, 3, EOS, b"<" + OK + b"\x01>"),
    ]


def test_what_an_encoding_held_back_is_sent_in_slices(holding: ServerConnection) -> None:
    # step 5
    holding.send_result(1, bytes(SLICE))
    frames = parse_frames(joined(holding.data_to_send()))
    assert shapes(frames)[1:] == [(CONTINUATION, SLICE), (EOS, 2 + 11 + 3)]
    assert {one.stream_flags for one in frames[1:]} == {ENCODED}


def test_errors_do_not_leave_bytes_in_the_encoding_for_the_next_response(
    holding: ServerConnection,
) -> None:
    # framing 12: the context spans all responses of a stream
    holding.send_object(1, b"raw")
    holding.send_error(1, b"boom")
    holding.send_object(3, b"raw")
    holding.send_server_error(3, b"boom")
    sent = b"<" + OK + b"Craw>"
    frames = parse_frames(joined(holding.data_to_send()))
    assert frames[0] == HOLDING
    assert frames[1] == WireFrame(1, 2, ENCODED, 3, CONTINUATION, sent)
    assert (frames[2].stream_flags, frames[2].type_number, frames[2].flags) == (0, 5, 0)
    assert frames[3] == WireFrame(3, 2, ENCODED, 3, CONTINUATION, sent)
    assert (frames[4].stream_flags, frames[4].type_number, frames[4].flags) == (0, 5, 0)
    assert len(frames) == 5


def test_an_error_before_the_first_object_does_not_touch_the_encoding(
    holding: ServerConnection,
) -> None:
    holding.send_error(1, b"boom")
    frames = parse_frames(joined(holding.data_to_send()))
    assert shapes(frames) == [(EOS, 34)]


# --- objects that are encoded already -----------------------------------------------------------

ITEMS: Final = item(b"x" * 3000, canonical=False) + item([1, 2, 3], canonical=False)
LARGE: Final = bytes(range(256)) * 400
DECODE: Final[Mapping[bytes, Callable[[], Callable[[bytes], bytes]]]] = {
    item(b"identity", canonical=False): lambda: bytes,
    item(b"zlib", canonical=False): lambda: zlib.decompressobj().decompress,
    item(b"zstd-8mb", canonical=False): lambda: zstd.ZstdDecompressor().decompress,
}
"""By the payload of the frame that announces an encoding."""


def content_of(frames: Iterable[WireFrame]) -> bytes:
    """Return what the frames of one response say, decoded."""
    content = b""
    decode: Callable[[bytes], bytes] = bytes
    for one in frames:
        if one.type_number == NUMBERS["0006"]["stream"]:
            decode = DECODE[one.payload]()
        else:
            assert one.type_number == NUMBERS["0006"]["response"]
            assert len(one.payload) <= SLICE
            content += decode(one.payload) if one.stream_flags & ENCODED else one.payload
    return content


def test_parts_are_passed_on_in_frames_of_their_own() -> None:
    parts = [ITEMS[:5], ITEMS[5:2000], ITEMS[2000:]]
    sent = frames_of("0006", objects(Encoded(parts[:2]), Encoded(parts[2:])), nothing_offered=True)
    assert [one.payload for one in sent] == [OK, *parts, b""]
    assert [one.flags for one in sent] == [CONTINUATION] * 4 + [EOS]


def test_a_part_longer_than_a_frame_is_cut_and_an_empty_one_is_left_out() -> None:
    parts = Encoded([b"", LARGE])
    sent = frames_of("0006", objects(parts, Encoded([])), nothing_offered=True)
    assert [len(one.payload) for one in sent] == [len(OK), SLICE, SLICE, SLICE, 4096, 0]
    assert b"".join(one.payload for one in sent[1:]) == LARGE


def test_a_result_may_be_encoded_already() -> None:
    sent = frames_of("0006", result(Encoded([ITEMS])), nothing_offered=True)
    assert [one.payload for one in sent] == [OK, ITEMS, b""]


def test_objects_that_wait_leave_before_parts_and_parts_before_objects() -> None:
    act = objects(b"first", Encoded([ITEMS]), b"last")
    sent = frames_of("0006", act, nothing_offered=True)
    assert [one.payload for one in sent] == [OK, b"Efirst", ITEMS, b"Dlast", b""]


@pytest.mark.parametrize("profile", [b"zlib", b"zstd-8mb"])
@pytest.mark.parametrize("aside", [False, True], ids=["here", "as-work"])
def test_an_encoding_gives_the_parts_one_behind_the_other(profile: bytes, *, aside: bool) -> None:
    connection = offering(profile)
    parts = [LARGE, LARGE[7:], ITEMS]
    for values in ([b"one", b"two"], parts, [ITEMS] * 3):
        value = Encoded(values)
        work = connection.encoding_work(1, value) if aside else None
        if work is None:
            connection.send_object(1, value)
        else:
            work.run()
            connection.send_encoded(1, work)
    connection.end_response(1)
    frames = parse_frames(joined(connection.data_to_send()))
    assert content_of(frames) == OK + b"onetwo" + b"".join(parts) + ITEMS * 3


def test_only_parts_of_some_size_are_work_for_a_thread() -> None:
    connection = offering(b"zlib")
    assert connection.encoding_work(1, Encoded([bytes(65535)])) is None
    assert connection.encoding_work(1, Encoded([bytes(65535), b"x"])) is not None
    assert offering(b"identity").encoding_work(1, Encoded([LARGE])) is None


@pytest.mark.parametrize("profile", [None, b"identity", b"zlib", b"zstd-8mb"])
def test_an_error_behind_parts_is_an_error_frame(profile: bytes | None) -> None:
    connection = offering(*([profile] if profile else []))
    connection.send_object(1, Encoded([ITEMS[:100]]))
    connection.send_error(1, b"%s broke", [b"it"])
    frames = parse_frames(joined(connection.data_to_send()))
    assert frames[-1].type_number == NUMBERS["0006"]["error"]
    assert item(b"command", canonical=False) in frames[-1].payload
    assert item(b"it broke", canonical=False) in frames[-1].payload
    assert content_of(frames[:-1]) == OK + ITEMS[:100]


@pytest.mark.parametrize("profile", [b"zlib", b"zstd-8mb"])
def test_an_error_behind_parts_that_were_encoded_aside_is_an_error_frame(profile: bytes) -> None:
    connection = offering(profile)
    work = connection.encoding_work(1, Encoded([LARGE]))
    assert work is not None
    work.run()
    connection.send_encoded(1, work)
    connection.send_error(1, b"broke")
    frames = parse_frames(joined(connection.data_to_send()))
    assert frames[-1].type_number == NUMBERS["0006"]["error"]
    assert content_of(frames[:-1]) == OK + LARGE


@pytest.mark.parametrize("dialect", [*BYTES_ERAS, "0005"])
def test_older_dialects_have_no_form_for_parts(dialect: str) -> None:
    connection = waiting(dialect, half_duplex=False)
    with pytest.raises(UnencodableError):
        connection.send_object(1, Encoded([ITEMS]))
    connection.send_error(1, b"boom")
    assert len(parse_frames(joined(connection.data_to_send()))) == 1


# --- in steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [*BYTES_ERAS, "0005", "0006"])
@pytest.mark.parametrize("value", [b"small", LARGE], ids=["small", "large"])
def test_an_object_sent_in_steps_is_the_same_bytes(dialect: str, value: bytes) -> None:
    def in_steps(connection: ServerConnection) -> None:
        for _ in connection.send_in_steps(1, value):
            pass
        connection.end_response(1)

    assert bytes_of(dialect, in_steps) == bytes_of(dialect, objects(value))


@pytest.mark.parametrize(
    "value",
    [LARGE * 10, [LARGE] * 10, IndefiniteBytes([LARGE[:30000]] * 30)],
    ids=["bytes", "list", "indefinite"],
)
def test_a_caller_that_sends_between_the_steps_holds_few_frames(value: Value) -> None:
    whole = bytes_of("0006", objects(value), nothing_offered=True)
    connection = offering(b"unknown")
    most, sent = 0, b""
    for _ in connection.send_in_steps(1, value):
        most = max(most, connection.output_size)
        sent += joined(connection.data_to_send())
    connection.end_response(1)
    assert sent + joined(connection.data_to_send()) == whole
    assert most <= 2 * (SLICE + 8)
