"""Answers of 0005, the ok map in front of CBOR: framing 6.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.answering import (
    CONTINUATION,
    EOS,
    OK,
    bytes_of,
    frames_of,
    objects,
    result,
    shapes,
    string_of_encoded_size,
)
from support.peers import (
    item,
)

from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value


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
