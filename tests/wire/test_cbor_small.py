"""The quick look at small CBOR items agrees with the scan that knows everything."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiredaemon.wire.cbor_heads import CborError, ItemScanner
from wiredaemon.wire.cbor_small import SMALL, plain_size
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

STRICT = DIALECTS["0006"].cbor
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.binary(max_size=40), inner, max_size=30)
        | st.sets(st.binary(max_size=30) | st.integers(0, 300), max_size=30)
    ),
    max_leaves=12,
)


def scanned(data: bytes) -> int | None:
    """Return the end of the item by the scan for 0006, None where it is refused or incomplete."""
    try:
        return ItemScanner(STRICT, Limits(cbor_depth=SMALL)).scan(data)
    except CborError:
        return None


@given(
    st.binary(max_size=60)
    | st.binary(max_size=8).map(lambda tail: b"\xa1\x41a" + tail)
    | st.binary(max_size=8).map(lambda tail: b"\xd9\x01\x02" + tail)
)
def test_a_size_that_is_found_is_where_the_scan_ends(data: bytes) -> None:
    size = plain_size(data)
    if size:
        assert scanned(data) == size


@given(VALUES, st.binary(max_size=5))
def test_the_size_of_a_plain_value_is_found_whatever_follows_it(value: object, tail: bytes) -> None:
    data = cbor2.dumps(value)
    size = plain_size(data + tail)
    assert size in {0, len(data)}
    assert size or _is_unusual(value) or len(data + tail) > SMALL
    for end in range(len(data)):
        assert plain_size(data[:end]) == 0


def _is_unusual(value: object) -> bool:
    """Return whether a value has a part that is left to the scan."""
    match value:
        case bytes():
            return len(value) > 255
        case list():
            return len(value) > 23 or any(map(_is_unusual, value))
        case set():
            long = any(not isinstance(part, bytes) or len(part) > 23 for part in value)
            return len(value) > 23 or long
        case dict():
            parts = [*value, *value.values()]
            return len(value) > 23 or any(map(_is_unusual, parts))
    return False


@pytest.mark.parametrize(
    "data",
    [
        b"\x61a",  # text
        b"\xf9\x3c\x00",  # a float
        b"\xf7",  # undefined
        b"\xf8\x20",  # a simple value
        b"\xc1\x00",  # a tag
        b"\xd9\x01\x02\x81\x00",  # a set of an integer
        b"\xd9\x01\x02\xa0",  # a set of a map
        b"\xd9\x01\x02\x82\x41a",  # a set that ends too early
        b"\xd9\x01\x03\x80",  # another tag
        b"\x5f\x41a\xff",  # indefinite
        b"\x9f\x00\xff",
        b"\xbf\x41a\x00\xff",
        b"\x1c",  # reserved
        b"\xff",
        b"",
        b"\x59\x00\x01a",  # a long head
        b"\x58",
        b"\x58\x05abc",
        b"\x00" + bytes(SMALL),
    ],
)
def test_other_items_are_left_to_the_scan(data: bytes) -> None:
    assert plain_size(data) == 0
