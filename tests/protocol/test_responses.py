"""What the answers of each era are made of: framing 6 and 7."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    NUMBERS,
    WireFrame,
    head,
    item,
    parse_frames,
    request_frames,
    settings_frames,
)

from wiredaemon.protocol.responses import LONGEST_MESSAGE
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.encodings import ENCODERS
from wiredaemon.wire.values import Encoded, IndefiniteBytes, RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.values import Value

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTINUATION, EOS, CBOR = 1, 2, 4
OK: Final = b"\xa1FstatusBok"
SLICE: Final = 32768

BYTES_ERAS: Final = ("0002", "0003", "0004")
ERRORS_IN_FRAMES: Final = BYTES_ERAS


def waiting(dialect: str, *, half_duplex: bool, settings: bool = False) -> ServerConnection:
    """Give a connection that has received requests 1, 3 and 5 and the end of input."""
    connection = server(dialect, half_duplex=half_duplex)
    data = b"".join(settings_frames(b"unknown")) if settings else b""
    for request_id in (1, 3, 5):
        data += b"".join(request_frames(dialect, request_id, b"command"))
    assert len(receive(connection, data)) == 3
    assert connection.receive_end() == []
    return connection


def bytes_of(
    dialect: str, act: Callable[[ServerConnection], None], *, nothing_offered: bool = False
) -> bytes:
    """Give what is sent, which must be the same in half and in full duplex."""
    sent = []
    for half_duplex in (True, False):
        connection = waiting(dialect, half_duplex=half_duplex, settings=nothing_offered)
        act(connection)
        size = connection.output_size
        sent.append(joined(connection.data_to_send()))
        assert size == len(sent[-1])
        assert connection.output_size == 0
    assert sent[0] == sent[1]
    return sent[0]


def frames_of(
    dialect: str, act: Callable[[ServerConnection], None], *, nothing_offered: bool = False
) -> list[WireFrame]:
    return parse_frames(bytes_of(dialect, act, nothing_offered=nothing_offered))


def shapes(frames: list[WireFrame]) -> list[tuple[int, int]]:
    """Give flags and payload size of each frame."""
    return [(one.flags, len(one.payload)) for one in frames]


def result(value: Value) -> Callable[[ServerConnection], None]:
    return lambda connection: connection.send_result(1, value)


def objects(*values: Value) -> Callable[[ServerConnection], None]:
    def act(connection: ServerConnection) -> None:
        for value in values:
            connection.send_object(1, value)
        connection.end_response(1)

    return act


def string_of_encoded_size(size: int) -> bytes:
    """Give a byte string whose CBOR has so many bytes, head included."""
    width = next(width for width in (1, 2, 3, 5) if len(head(2, size - width)) == width)
    return bytes(size - width)


# --- 0002 to 0004: one byte string -------------------------------------------------------------


def test_the_result_of_the_seed_is_one_frame() -> None:
    # the first seed's customreadonly, 29 bytes; framing 2
    sent = bytes_of("0003", result(RawBytes(b"customreadonly bytes response")))
    assert sent == b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response"


@pytest.mark.parametrize("dialect", BYTES_ERAS)
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, [(EOS, 0)]),
        (1, [(EOS, 1)]),
        (32767, [(EOS, 32767)]),
        (32768, [(EOS, 32768)]),
        (32769, [(CONTINUATION, 32768), (EOS, 1)]),
        (65536, [(CONTINUATION, 32768), (EOS, 32768)]),
        (65537, [(CONTINUATION, 32768), (CONTINUATION, 32768), (EOS, 1)]),
    ],
)
def test_a_byte_string_is_sent_in_slices_without_an_empty_frame_behind(
    dialect: str, size: int, expected: list[tuple[int, int]]
) -> None:
    # framing 6.1
    value: Value
    if dialect == "0004":  # always CBOR: nothing has no bytes
        size, expected = (size, expected) if size else (1, [(EOS, 1)])
        value = content = string_of_encoded_size(size)
        data = item(content, canonical=True)
    else:
        data = bytes(range(256)) * (size // 256) + bytes(size % 256)
        value = RawBytes(data)
    frames = frames_of(dialect, result(value))
    assert shapes(frames) == expected
    assert b"".join(one.payload for one in frames) == data
    assert {(one.request_id, one.stream_id, one.type_number) for one in frames} == {(1, 2, 4)}
    assert [one.stream_flags for one in frames] == [BEGIN] + [0] * (len(frames) - 1)


@pytest.mark.parametrize("dialect", BYTES_ERAS)
def test_several_objects_make_the_same_frames_as_their_bytes_together(dialect: str) -> None:
    parts: list[Value] = [RawBytes(bytes(20000)), RawBytes(bytes(20000)), RawBytes(bytes(25000))]
    frames = frames_of(dialect, objects(*parts))
    extra = 9 if dialect == "0004" else 0  # three heads
    assert shapes(frames) == [(CONTINUATION, SLICE), (EOS, 65000 + extra - SLICE)]


def test_exactly_full_slices_are_held_until_it_is_known_whether_they_are_the_last() -> None:
    parts: list[Value] = [RawBytes(bytes(SLICE)), RawBytes(b""), RawBytes(bytes(SLICE))]
    assert shapes(frames_of("0002", objects(*parts))) == [(CONTINUATION, SLICE), (EOS, SLICE)]


@pytest.mark.parametrize("dialect", BYTES_ERAS)
def test_no_objects_are_an_empty_result(dialect: str) -> None:
    assert shapes(frames_of(dialect, objects())) == [(EOS, 0)]


def test_0002_sends_bytes_as_they_are() -> None:
    assert bytes_of("0002", result(b"raw")) == b"\x03\x00\x00\x01\x00\x02\x01Braw"


def test_0003_announces_cbor_on_every_frame() -> None:
    # framing 6.1: "flags 6, byte 0x46 = `F`"
    assert bytes_of("0003", result([b"a"])) == b"\x03\x00\x00\x01\x00\x02\x01F\x81Aa"
    frames = frames_of("0003", result(bytes(40000)))
    assert shapes(frames) == [(CONTINUATION | CBOR, SLICE), (EOS | CBOR, 40003 - SLICE)]


def test_0004_wraps_bytes_as_cbor_without_a_flag() -> None:
    sent = b"\x04\x00\x00\x01\x00\x02\x01BCraw"
    assert bytes_of("0004", result(RawBytes(b"raw"))) == sent
    assert bytes_of("0004", result(b"raw")) == sent


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("0003", b"\xa3Fphases@Ibookmarks@Jnamespaces@"),
        ("0004", b"\xa3Fphases@Ibookmarks@Jnamespaces@"),
        ("0005", OK + b"\xa3Fphases@Ibookmarks@Jnamespaces@"),
        ("0006", OK + b"\xa3Ibookmarks@Jnamespaces@Fphases@"),
    ],
)
def test_keys_are_in_the_order_of_the_era(dialect: str, expected: bytes) -> None:
    # framing 5.4
    value: Value = {b"bookmarks": b"", b"namespaces": b"", b"phases": b""}
    frames = [one for one in frames_of(dialect, result(value)) if one.type_number < 5]
    assert b"".join(one.payload for one in frames) == expected


@pytest.mark.parametrize("value", [{}, [], 1, None, True])
def test_0002_has_no_form_for_values(value: Value) -> None:
    connection = waiting("0002", half_duplex=False)
    text = f"a value of type {type(value).__name__} has no text form"
    with pytest.raises(UnencodableError, match=text):
        connection.send_result(1, value)
    assert connection.data_to_send() == []


def test_0003_does_not_mix_bytes_and_cbor_in_one_result() -> None:
    connection = waiting("0003", half_duplex=False)
    connection.send_object(1, RawBytes(b"raw"))
    with pytest.raises(UnencodableError, match="cannot be mixed"):
        connection.send_object(1, [1])


# --- 0005: the ok map in front -----------------------------------------------------------------


def test_0005_leads_with_the_ok_map_in_one_frame() -> None:
    # framing 6.2
    assert bytes_of("0005", result(b"raw")) == (b"\x0f\x00\x00\x01\x00\x02\x012\xa1FstatusBokCraw")


def test_0005_wraps_raw_bytes() -> None:
    assert bytes_of("0005", result(RawBytes(b"raw"))) == bytes_of("0005", result(b"raw"))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32757, [(EOS, 32768)]),  # 11 + len(D) = 32768
        (32758, [(CONTINUATION, 11), (EOS, 32758)]),  # 11 + len(D) = 32769
        (32768, [(CONTINUATION, 11), (EOS, 32768)]),
        (32769, [(CONTINUATION, 11), (CONTINUATION, 32768), (EOS, 1)]),
        (65536, [(CONTINUATION, 11), (CONTINUATION, 32768), (EOS, 32768)]),
    ],
)
def test_0005_sends_the_map_alone_in_front_of_what_does_not_fit(
    size: int, expected: list[tuple[int, int]]
) -> None:
    # framing 6.2
    value = string_of_encoded_size(size)
    frames = frames_of("0005", result(value))
    assert shapes(frames) == expected
    assert b"".join(one.payload for one in frames) == OK + item(value, canonical=True)


def test_0005_sends_a_generator_with_flags_0_then_continuation_and_an_empty_end() -> None:
    # framing 6.2, "A generator-style response"
    values: list[Value] = [bytes(20000)] * 5
    frames = frames_of("0005", objects(*values))
    assert shapes(frames) == [
        (CONTINUATION, 11),
        (0, 32768),
        (CONTINUATION, 32768),
        (CONTINUATION, 32768),
        (CONTINUATION, 5 * 20003 - 3 * 32768),
        (EOS, 0),
    ]
    assert frames[0].payload == OK
    assert b"".join(one.payload for one in frames[1:]) == item(bytes(20000), canonical=True) * 5


def test_0005_sends_a_small_generator_in_three_frames() -> None:
    assert bytes_of("0005", objects(1, 2)) == (
        b"\x0b\x00\x00\x01\x00\x02\x011\xa1FstatusBok"
        b"\x02\x00\x00\x01\x00\x02\x000\x01\x02"
        b"\x00\x00\x00\x01\x00\x02\x002"
    )


def test_0005_ends_a_generator_without_data_with_both_flags() -> None:
    # "flags 3 if there was no data at all"
    assert bytes_of("0005", objects()) == (
        b"\x0b\x00\x00\x01\x00\x02\x011\xa1FstatusBok\x00\x00\x00\x01\x00\x02\x003"
    )


# --- 0006: objects, coalesced ------------------------------------------------------------------

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
    """Give the payload sizes behind the settings, and check flags and content on the way."""
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
    """Give a connection to a client that offers only the encoding ``holding``."""
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
    assert (frames[2].stream_flags, frames[2].type_number, frames[2].flags) == (0, 3, EOS)
    assert frames[3] == WireFrame(3, 2, ENCODED, 3, CONTINUATION, sent)
    assert (frames[4].stream_flags, frames[4].type_number, frames[4].flags) == (0, 5, 0)
    assert len(frames) == 5


def test_an_error_before_the_first_object_does_not_touch_the_encoding(
    holding: ServerConnection,
) -> None:
    holding.send_error(1, b"boom")
    frames = parse_frames(joined(holding.data_to_send()))
    assert shapes(frames) == [(EOS, 34)]


# --- errors ------------------------------------------------------------------------------------


def command_error(connection: ServerConnection) -> None:
    connection.send_error(1, b"no %s: 100%%", [b"node"])


def server_error(connection: ServerConnection) -> None:
    connection.send_server_error(1, b"boom")


@pytest.mark.parametrize("dialect", ERRORS_IN_FRAMES)
def test_errors_are_text_in_a_frame_up_to_0004(dialect: str) -> None:
    # framing 7, design 3: flag `application`
    assert bytes_of(dialect, command_error) == b"\x0d\x00\x00\x01\x00\x02\x01\x52no node: 100%"
    assert bytes_of(dialect, server_error) == b"\x04\x00\x00\x01\x00\x02\x01\x52boom"


@pytest.mark.parametrize("dialect", ERRORS_IN_FRAMES)
def test_an_error_after_data_up_to_0004_ends_the_response_and_drops_what_was_held(
    dialect: str,
) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, RawBytes(bytes(40000)))
        connection.send_error(1, b"boom")

    frames = frames_of(dialect, act)
    assert shapes(frames) == [(CONTINUATION, SLICE), (2, 4)]
    assert frames[1] == WireFrame(1, 2, 0, 5, 2, b"boom")


def test_a_command_error_of_0005_is_a_status_map() -> None:
    # framing 6.2; keys are canonical
    payload = b"\xa2Eerror\xa2Dargs\x81DnodeGmessageLno %s: 100%%FstatusEerror"
    assert frames_of("0005", command_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]


def test_a_server_error_of_0005_is_a_status_map_too() -> None:
    # design 3: "0005 on: the error status map"
    payload = b"\xa2Eerror\xa1GmessageDboomFstatusEerror"
    assert frames_of("0005", server_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]
    frames = frames_of("0005", lambda connection: connection.send_server_error(1, b"100% %s"))
    assert frames[0].payload == b"\xa2Eerror\xa1GmessageI100%% %%sFstatusEerror"


@pytest.mark.parametrize("kind", [b"command", b"server"])
def test_an_error_of_0005_after_data_is_an_error_frame(kind: bytes) -> None:
    # framing 7, wire example of 4.6: `type` then `message`
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"held")
        if kind == b"command":
            connection.send_error(1, b"%s", [b"boom"])
        else:
            connection.send_server_error(1, b"boom")

    type_item = item(kind, canonical=True)
    assert frames_of("0005", act) == [
        WireFrame(1, 2, BEGIN, 3, CONTINUATION, OK),
        WireFrame(1, 2, 0, 5, 0, b"\xa2Dtype" + type_item + b"Gmessage\x81\xa1CmsgDboom"),
    ]


def test_a_command_error_of_0006_is_a_status_map_without_settings() -> None:
    # framing 6.3, "Errors"; keys are bytewise
    payload = b"\xa2Eerror\xa2Dargs\x81DnodeGmessageLno %s: 100%%FstatusEerror"
    assert frames_of("0006", command_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]


def test_another_error_of_0006_is_an_error_frame() -> None:
    # framing 7, wire example (observed)
    payload = b"\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    assert frames_of("0006", server_error) == [WireFrame(1, 2, BEGIN, 5, 0, payload)]


def test_a_command_error_after_objects_of_0006_drops_what_was_held() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    assert bytes_of("0006", act) == (
        SETTINGS
        + OK_FRAME
        + b"\x22\x00\x00\x01\x00\x02\x002\xa2Eerror\xa1GmessageDboomFstatusEerror"
    )


def test_another_error_after_objects_of_0006_is_an_error_frame_and_no_end() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"dropped")
        connection.send_server_error(1, b"boom")

    assert bytes_of("0006", act) == (
        SETTINGS
        + OK_FRAME
        + b"\x20\x00\x00\x01\x00\x02\x00\x50\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    )


def test_objects_that_were_sent_before_an_error_stay_sent() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, bytes(32767))
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    assert shapes(frames_of("0006", act))[1:] == [
        (CONTINUATION, 11),
        (CONTINUATION, 3),
        (CONTINUATION, 32767),
        (EOS, 34),
    ]


def test_an_error_does_not_cut_the_object_in_front_of_it() -> None:
    # What is held is dropped, but not the rest of an object of which a part was sent: the error
    # map would be read as that rest.
    def act(connection: ServerConnection) -> None:
        for _ in range(4):
            connection.send_object(1, bytes(10000))
        connection.send_error(1, b"boom")

    frames = frames_of("0006", act)
    assert shapes(frames)[1:] == [
        (CONTINUATION, 11),
        (CONTINUATION, 30012),
        (CONTINUATION, 10000),
        (EOS, 34),
    ]


def test_whole_objects_behind_a_cut_one_that_was_sent_are_dropped() -> None:
    def act(connection: ServerConnection) -> None:
        for size in (10000, 10000, 10000, 10000, 32767, 7):
            connection.send_object(1, bytes(size))
        connection.send_object(1, bytes(32767))
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    frames = frames_of("0006", act)
    sizes = [11, 30012, 10003, 32767, 11, 32767, 34]
    assert [len(one.payload) for one in frames[1:]] == sizes


def test_an_object_that_ends_with_its_frame_is_not_cut() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, bytes(32769))
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    assert [len(one.payload) for one in frames_of("0006", act)[1:]] == [11, 3, 32768, 1, 34]


def test_an_object_that_fails_inside_is_followed_by_an_error_frame() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise EOFError

    def act(connection: ServerConnection) -> None:
        with pytest.raises(EOFError):
            connection.send_object(1, IndefiniteBytes(chunks()))
        connection.send_error(1, b"%s", [b"boom"])

    payload = b"\xa2Gmessage\x81\xa1CmsgDboomDtypeGcommand"
    assert frames_of("0006", act)[2:] == [WireFrame(1, 2, 0, 5, 0, payload)]


@pytest.mark.parametrize("failing", [command_error, server_error])
def test_the_settings_are_sent_later_without_begin_if_the_first_command_failed(
    failing: Callable[[ServerConnection], None],
) -> None:
    # framing 6.3, the paragraph behind "Errors"
    def act(connection: ServerConnection) -> None:
        failing(connection)
        connection.send_result(3, 1)

    frames = frames_of("0006", act)
    assert frames[0].stream_flags == BEGIN
    assert frames[1:] == [
        WireFrame(3, 2, 0, 9, EOS, b"Hidentity"),
        WireFrame(3, 2, ENCODED, 3, CONTINUATION, OK),
        WireFrame(3, 2, ENCODED, 3, CONTINUATION, b"\x01"),
        WireFrame(3, 2, 0, 3, EOS, b""),
    ]


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005", "0006"])
def test_an_error_text_is_cut_so_that_it_fits_one_frame(dialect: str) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_error(1, b"%s%%", [b"x" * 100_000])
        connection.send_server_error(3, b"%" * 100_000)

    frames = frames_of(dialect, act)
    assert len(frames) == 2
    for one in frames:
        assert LONGEST_MESSAGE // 2 <= len(one.payload) <= 2 * LONGEST_MESSAGE + 100 <= SLICE


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
@pytest.mark.parametrize("value", [1.5, [object()], {1: 2}])
def test_a_value_without_a_form_leaves_no_trace_before_the_first_object(
    dialect: str, value: Value
) -> None:
    connection = waiting(dialect, half_duplex=False)
    with pytest.raises(UnencodableError):
        connection.send_object(1, value)
    with pytest.raises(UnencodableError):
        connection.send_result(1, value)
    assert connection.data_to_send() == []
    connection.send_error(1, b"boom")
    frames = parse_frames(joined(connection.data_to_send()))
    expected = frames_of(dialect, lambda connection: connection.send_error(1, b"boom"))
    assert frames == expected


@pytest.mark.parametrize("dialect", ["0004", "0005", "0006"])
def test_a_value_without_a_form_between_objects_leaves_them_whole(dialect: str) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"one")
        with pytest.raises(UnencodableError):
            connection.send_object(1, [b"part", object()])  # type: ignore[list-item]
        connection.send_object(1, b"two")
        connection.end_response(1)

    assert frames_of(dialect, act) == frames_of(dialect, objects(b"one", b"two"))


# --- 0006: objects that are encoded already ---------------------------------------------------

ITEMS: Final = item(b"x" * 3000, canonical=False) + item([1, 2, 3], canonical=False)
LARGE: Final = bytes(range(256)) * 400
DECODE: Final[Mapping[bytes, Callable[[], Callable[[bytes], bytes]]]] = {
    item(b"identity", canonical=False): lambda: bytes,
    item(b"zlib", canonical=False): lambda: zlib.decompressobj().decompress,
    item(b"zstd-8mb", canonical=False): lambda: zstd.ZstdDecompressor().decompress,
}
"""By the payload of the frame that announces an encoding."""


def offering(*profiles: bytes) -> ServerConnection:
    """Give a connection that has received request 1 from a client that offers profiles."""
    connection = server("0006", half_duplex=False)
    data = b"".join(settings_frames(*profiles)) if profiles else b""
    receive(connection, data + b"".join(request_frames("0006", 1, b"command")))
    return connection


def content_of(frames: Iterable[WireFrame]) -> bytes:
    """Give what the frames of one response say, decoded."""
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
def test_who_sends_between_the_steps_holds_few_frames(value: Value) -> None:
    whole = bytes_of("0006", objects(value), nothing_offered=True)
    connection = offering(b"unknown")
    most, sent = 0, b""
    for _ in connection.send_in_steps(1, value):
        most = max(most, connection.output_size)
        sent += joined(connection.data_to_send())
    connection.end_response(1)
    assert sent + joined(connection.data_to_send()) == whole
    assert most <= 2 * (SLICE + 8)
