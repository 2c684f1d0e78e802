"""Kept answers whose long byte strings are cut."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiredaemon.net.cache.small_items import SmallItems
from wiredaemon.wire.cbor_heads import CborError

HEAD = {b"status": 200, b"headers": [[b"Content-Type", b"x"]]}


def items_of(parts: list[bytes]) -> list[Any]:
    """Whole items, each of them; anything else is an error."""
    whole = b"".join(parts)
    items: list[Any] = []
    while whole:
        item = cbor2.loads(whole)
        items.append(item)
        # As `SmallItems` writes them: with the shortest heads.
        whole = whole[len(cbor2.dumps(item)) :]
    return items


@given(
    sizes=st.lists(st.sampled_from([0, 1, 23, 24, 255, 256, 65535, 65536, 70000]), max_size=4),
    step=st.sampled_from([1, 2, 7, 100, 8192, 65536, 1_000_000]),
)
def test_all_bytes_arrive_in_items_of_what_was_read(sizes: list[int], step: int) -> None:
    strings = [bytes([number]) * size for number, size in enumerate(sizes)]
    kept = b"".join(map(cbor2.dumps, [HEAD, *strings]))
    small, found = SmallItems(), list[Any]()
    for start in range(0, len(kept), step):
        found += items_of(small.cut(kept[start : start + step]))
    assert found[0] == HEAD
    assert b"".join(found[1:]) == b"".join(strings)
    assert all(0 < len(each) <= step for each in found[1:])


@pytest.mark.parametrize("item", [1, "text", [b"x"], {}])
def test_anything_else_is_refused(item: object) -> None:
    with pytest.raises(CborError, match="something other than byte strings"):
        SmallItems().cut(cbor2.dumps(HEAD) + cbor2.dumps(item))


def test_endless_byte_strings_are_refused() -> None:
    with pytest.raises(CborError, match="something other than byte strings"):
        SmallItems().cut(cbor2.dumps(HEAD) + b"\x5f\x41x\xff")
