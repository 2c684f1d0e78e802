"""Answers of 0002 to 0004, one byte string in slices: framing 6.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.answering import (
    BYTES_ERAS,
    CBOR,
    CONTINUATION,
    EOS,
    OK,
    SLICE,
    bytes_of,
    frames_of,
    objects,
    result,
    shapes,
    string_of_encoded_size,
    waiting,
)
from support.peers import (
    BEGIN,
    item,
)

from wiredaemon.wire.values import RawBytes, UnencodableError

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value


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
