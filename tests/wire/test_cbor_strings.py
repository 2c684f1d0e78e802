from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiredaemon.wire.cbor import encode
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.cbor_strings import encode_strings

VALUES = st.one_of(st.binary(max_size=300), st.integers(0, 9), st.none())


@pytest.mark.parametrize(
    ("strings", "encoded"),
    [
        ({}, b"\xa0"),
        ({b"data": b"x"}, b"\xa1DdataAx"),
        ({b"k": bytes(24)}, b"\xa1AkX\x18" + bytes(24)),
        ({b"": b""}, b"\xa1@@"),
    ],
)
def test_a_map_of_short_strings_is_encoded(strings: dict[bytes, bytes], encoded: bytes) -> None:
    for order in KeyOrder:
        assert encode_strings(strings, order) == encoded


def test_keys_are_in_the_order_of_the_dialect() -> None:
    strings = {b"b": b"2", b"aaa" * 9: b"3", b"a": b"1"}
    long = b"AaA1AbA2" + b"X\x1b" + b"a" * 27 + b"A3"
    assert encode_strings(strings, KeyOrder.CANONICAL) == b"\xa3" + long
    bytewise = b"AaA1" + b"X\x1b" + b"a" * 27 + b"A3" + b"AbA2"
    assert encode_strings(strings, KeyOrder.BYTEWISE) == b"\xa3" + bytewise


@pytest.mark.parametrize(
    "other",
    [
        {b"a": 1},
        {b"a": None},
        {b"a": "text"},
        {"a": b"1"},
        {"a": b"1", b"b": b"2"},
        {b"a": bytes(256)},
        {bytes(256): b"1"},
        {b"%d" % number: b"" for number in range(24)},
    ],
)
def test_everything_else_is_left_to_the_encoder(other: dict[Any, Any]) -> None:
    for order in KeyOrder:
        assert encode_strings(other, order) is None


@given(st.dictionaries(st.binary(max_size=260), VALUES, max_size=30), st.sampled_from(KeyOrder))
def test_what_is_encoded_has_the_encoders_bytes(values: dict[bytes, Any], order: KeyOrder) -> None:
    found = encode_strings(values, order)
    assert found is None or found == encode(values, order)
