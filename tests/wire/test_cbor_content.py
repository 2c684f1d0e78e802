from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wiredaemon.wire.cbor import decode_content, decode_first, decode_leading
from wiredaemon.wire.cbor_content import Content
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

LIMITS = Limits(cbor_elements=50)


def outcome(pieces: list[bytes], dialect: str, *, is_whole: bool) -> object:
    content = Content(DIALECTS[dialect].cbor, LIMITS, is_whole=is_whole)
    for piece in pieces:
        content.receive_data(piece)
    try:
        return decode_content(content)
    except CborError as error:
        return str(error)


def expected(data: bytes, dialect: str, *, is_whole: bool) -> object:
    decode = decode_leading if is_whole else decode_first
    try:
        return decode(data, DIALECTS[dialect].cbor, LIMITS)
    except CborError as error:
        return str(error)


ITEMS = [
    b"\xa1AaAb",
    b"\x82AaBbc",
    b"\x80",
    b"\xd9\x01\x02\x81Ax",
    b"aa",
    b"\x5fAaAb\xff",
    b"\xff",
    b"\x98\x31" + b"\x00" * 49,
    b"\xf6",
]


@given(
    dialect=st.sampled_from(["0003", "0006"]),
    is_whole=st.booleans(),
    items=st.lists(st.sampled_from(ITEMS), max_size=4),
    ends=st.tuples(st.integers(0, 120), st.integers(0, 120)),
)
@example(dialect="0006", is_whole=True, items=[], ends=(0, 0))
@example(dialect="0006", is_whole=True, items=[ITEMS[2], ITEMS[7]], ends=(1, 120))
def test_pieces_give_what_all_of_it_gives(
    *, dialect: str, is_whole: bool, items: list[bytes], ends: tuple[int, int]
) -> None:
    cut, end = sorted(ends)
    data = b"".join(items)[:end]
    whole = expected(data, dialect, is_whole=is_whole)
    singles = [data[at : at + 1] for at in range(len(data))]
    assert outcome(singles, dialect, is_whole=is_whole) == whole
    assert outcome([data[:cut], data[cut:]], dialect, is_whole=is_whole) == whole


def test_content_that_is_refused_early_is_refused_at_its_end() -> None:
    content = Content(DIALECTS["0006"].cbor, LIMITS, is_whole=True)
    content.receive_data(b"\xff")
    content.receive_data(b"\xa0")
    with pytest.raises(CborError, match="break outside of an indefinite item"):
        decode_content(content)
