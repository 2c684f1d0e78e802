from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import peers

from wiredaemon.wire.frames import (
    BEGIN,
    ENCODED,
    END,
    Frame,
    FrameError,
    FrameReader,
    StreamFlags,
    encode_frame,
)

REQUEST = b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly"
"""The worked example of framing 2, from the first seed."""


LARGEST_PAYLOAD: Final = (1 << 24) - 1
"""What the 24-bit length of a frame can say (framing 2)."""


def read(data: bytes, *, payload_limit: int = LARGEST_PAYLOAD) -> list[Frame]:
    return list(FrameReader(payload_limit=payload_limit).frames(data))


def read_in(pieces: list[bytes]) -> list[Frame]:
    reader = FrameReader(payload_limit=LARGEST_PAYLOAD)
    return [frame for piece in pieces for frame in reader.frames(piece)]


def test_the_worked_example_is_read() -> None:
    assert read(REQUEST) == [
        Frame(
            request_id=1,
            stream_id=1,
            stream_flags=BEGIN,
            type_number=1,
            flags=1,
            payload=b"\xa1DnameNcustomreadonly",
        )
    ]


def test_the_worked_example_is_written() -> None:
    # framing 2: "Response in the same test"
    header, payload = encode_frame(1, 2, BEGIN, 4, 2, b"x" * 29)
    assert header == b"\x1d\x00\x00\x01\x00\x02\x01B"
    assert payload == b"x" * 29


def test_stream_flags_have_the_bits_of_the_specification() -> None:
    # framing 3
    assert (BEGIN, END, ENCODED) == (0x01, 0x02, 0x04)
    assert StreamFlags(BEGIN | ENCODED) == StreamFlags.BEGIN | StreamFlags.ENCODED


def test_each_field_has_its_place_and_byte_order() -> None:
    # framing 2: length, request id little endian; type in the high nibble
    header, _ = encode_frame(0x0201, 0x03, 0x04, 0x05, 0x06, bytes(0x010203))
    assert header == b"\x03\x02\x01\x01\x02\x03\x04\x56"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 65537, 100_000, 1 << 20])
def test_lengths_use_all_24_bits(size: int) -> None:
    # framing 2: Mercurial misread lengths from 65536 on
    payload = bytes(size)
    data = peers.frame(1, 1, payload)
    assert b"".join(encode_frame(1, 1, BEGIN, 1, 1, payload)) == data
    assert read(data) == [Frame(1, 1, BEGIN, 1, 1, payload)]


def test_the_largest_payload_goes_both_ways() -> None:
    payload = bytes(LARGEST_PAYLOAD)
    frame = encode_frame(1, 1, BEGIN, 1, 1, payload)
    assert frame[0][:3] == b"\xff\xff\xff"
    assert read(b"".join(frame)) == [Frame(1, 1, BEGIN, 1, 1, payload)]


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, 1 << 16), (0, -1), (1, 256), (1, -1), (2, 256), (3, 16), (3, -1), (4, 16), (4, -1)],
)
def test_a_number_that_does_not_fit_its_field_is_refused(field: int, value: int) -> None:
    fields = [1, 1, 1, 1, 1]
    fields[field] = value
    request_id, stream_id, stream_flags, type_number, flags = fields
    with pytest.raises(FrameError, match="fit the header"):
        encode_frame(request_id, stream_id, stream_flags, type_number, flags, b"")


def test_a_payload_over_24_bits_is_refused() -> None:
    with pytest.raises(FrameError, match="fit the header"):
        encode_frame(1, 1, 1, 1, 1, bytes(LARGEST_PAYLOAD + 1))


def test_unknown_flag_bits_are_kept() -> None:
    # framing 3: "Other bits are ignored": not the reader's to drop
    assert read(peers.frame(15, 15, stream_flags=0xFF)) == [Frame(1, 1, 0xFF, 15, 15, b"")]


def test_a_payload_at_the_limit_is_accepted() -> None:
    assert read(peers.frame(1, 1, bytes(100)), payload_limit=100) == [
        Frame(1, 1, BEGIN, 1, 1, bytes(100))
    ]


def test_a_payload_over_the_limit_is_refused_at_its_header() -> None:
    reader = FrameReader(payload_limit=100)
    before = peers.frame(1, 1, b"before")
    header = peers.frame(1, 1, bytes(101))[:8]
    frames = reader.frames(before + header)
    assert next(frames) == Frame(1, 1, BEGIN, 1, 1, b"before")
    text = r"frame payload of 101 bytes exceeds the limit of 100 bytes \(frame_payload\)"
    with pytest.raises(FrameError, match=text):
        next(frames)


def test_no_bytes_at_a_frame_boundary_are_a_clean_end() -> None:
    reader = FrameReader(payload_limit=100)
    reader.receive_end()
    assert len(list(reader.frames(REQUEST))) == 1
    reader.receive_end()


@pytest.mark.parametrize("held", range(1, 8))
def test_an_end_inside_a_header_is_an_error_with_the_padded_bytes(held: int) -> None:
    reader = FrameReader(payload_limit=100)
    assert list(reader.frames(REQUEST + REQUEST[:held])) == [read(REQUEST)[0]]
    with pytest.raises(FrameError) as caught:
        reader.receive_end()
    # framing 2, the second table
    shown = REQUEST[:held].ljust(8, b"\0")
    assert str(caught.value) == f"received incomplete frame: got {held} bytes: {shown!r}"


@pytest.mark.parametrize("held", [0, 1, 20])
def test_an_end_inside_a_payload_is_an_error_with_both_sizes(held: int) -> None:
    reader = FrameReader(payload_limit=100)
    assert list(reader.frames(REQUEST[: 8 + held])) == []
    with pytest.raises(FrameError) as caught:
        reader.receive_end()
    # framing 2, the second table
    assert str(caught.value) == f"frame length error: expected 21; got {held}"


def frames() -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        request_id=st.integers(0, 0xFFFF),
        stream_id=st.integers(0, 0xFF),
        stream_flags=st.integers(0, 0xFF),
        type_number=st.integers(0, 15),
        flags=st.integers(0, 15),
        payload=st.binary(max_size=64),
    )


def wire(frame: Frame) -> bytes:
    return peers.frame(
        frame.type_number,
        frame.flags,
        frame.payload,
        request_id=frame.request_id,
        stream_id=frame.stream_id,
        stream_flags=frame.stream_flags,
    )


@given(frames())
def test_what_is_written_is_what_the_specification_says(frame: Frame) -> None:
    assert b"".join(encode_frame(*astuple(frame))) == wire(frame)


@given(st.lists(frames(), max_size=8), st.lists(st.integers(0, 600), max_size=12))
def test_frames_are_read_from_any_cuts(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(wire, sent))
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert read_in(pieces) == sent
    assert read_in([bytes([byte]) for byte in data]) == sent
