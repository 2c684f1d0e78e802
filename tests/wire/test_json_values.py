from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiredaemon.wire.json_values import (
    JsonError,
    json_line,
    jsonable,
    key_of,
    map_of,
    parse_json,
    value_of,
    write_json,
)
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value

NESTED: dict[bytes, object] = {
    b"b": [1, True, None, {b"x": b"y"}],
    b"a": {b"2", b"1"},
    b"empty": [[], {}, frozenset()],
}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (NESTED, '{"b": [1, true, null, {"x": "y"}], "a": ["1", "2"], "empty": [[], {}, []]}'),
        ("\u00e9".encode(), '"\u00e9"'),
        (RawBytes(b"\xff\x00"), '{"hex": "ff00"}'),
        ({b"\xff": 1, 5: 2}, '{"hex:ff": 1, "5": 2}'),
        ({b"hex:a": 1}, '{"hex:6865783a61": 1}'),
        ({b"hex": b"00"}, '{"hex:686578": "00"}'),
        ({b"hex": b"00", b"a": 1}, '{"hex": "00", "a": 1}'),
        ((1, b"a"), '[1, "a"]'),
        (1 << 63, "9223372036854775808"),
        (b"line\n\x1b", r'"line\n\u001b"'),
    ],
)
def test_json_is_one_line_for_each_object(value: object, line: str) -> None:
    assert json_line(value).decode() == f"{line}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"text"', b"text"),
        (b'"hex:00"', b"hex:00"),
        (b'"' + b"9" * 99 + b'"', b"9" * 99),
        ('"\u00e9"'.encode(), "\u00e9".encode()),
        (b'{"hex": "00fF"}', b"\x00\xff"),
        (b'{"hex": ""}', b""),
        (b'{"hex": "00", "a": 1}', {b"hex": b"00", b"a": 1}),
        (b'{"hex:ff": {"hex:686578": null}}', {b"\xff": {b"hex": None}}),
        (b"[1, -2, true, 3.0, 1e2]", [1, -2, True, 3, 100]),
        (b"18446744073709551615", (1 << 64) - 1),
        (b"9007199254740993", (1 << 53) + 1),
        (b"-9007199254740991.0", 1 - (1 << 53)),
        (b"-18446744073709551616", -(1 << 64)),
    ],
)
def test_json_stands_for_values_of_the_wire(text: bytes, value: object) -> None:
    read = value_of(parse_json(text))
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "Expecting value"),
        (b"{'a': 1}", "Expecting property name"),
        (b"[1,]", "line 1 column"),
        (b"1 2", "Extra data"),
        (b'\xef\xbb\xbf"a"', "Expecting value"),
        (b'"\xff"', "^byte 1 is not UTF-8$"),
        (b'{"a": 1, "\\u0061": 2}', "^the key a is given twice$"),
        (b"NaN", "^NaN is no number of JSON$"),
        (b"[-Infinity]", "^-Infinity is no number of JSON$"),
        (b"9" * 5000, r"^the number 9{20}\.\.\. has more than 64 bits$"),
        (b"[" * 100_000, "^it is nested too deeply$"),
        (b'{"a":' * 100_000, "^it is nested too deeply$"),
    ],
)
def test_what_is_no_json_says_so(text: bytes, fault: str) -> None:
    with pytest.raises(JsonError, match=fault):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"1.5", "^the protocol has no number like 1.5$"),
        (b"18446744073709551616", "^the number 18446744073709551616 has more than 64 bits$"),
        (b"1e300", "has more than 64 bits$"),
        (b"9007199254740993.0", "^the number 9007199254740992.0 is not exact: write it without"),
        (b"-1e17", "is not exact"),
        (b"1e999", "^a number is too large$"),
        (b'"\\ud800"', "^a string has half of a character$"),
        (b'{"\\ud800": 1}', "^a string has half of a character$"),
        (b'{"hex": "0"}', "^0 is not hexadecimal$"),
        (b'{"hex": "00 ff"}', "^00 ff is not hexadecimal$"),
        (b'{"hex": {}}', "^hex must have digits in a string$"),
        (b'{"hex:0g": 1}', "^0g is not hexadecimal$"),
        (b'{"hex:": 1}', "^hex: is not hexadecimal$"),
        (b'{"a": 1, "hex:61": 2}', "^the same key is given twice, once in hexadecimal$"),
    ],
)
def test_what_the_wire_does_not_have_is_refused(text: bytes, fault: str) -> None:
    said = parse_json(text)
    with pytest.raises(JsonError, match=fault):
        value_of(said)


def test_what_is_parsed_and_too_deep_to_be_read_is_refused() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(JsonError, match=r"^it is nested too deeply$"):
        value_of(deep)


def test_strings_may_be_read_in_another_way() -> None:
    assert value_of(["a", {"b": "c"}], lambda text: text.upper().encode()) == [b"A", {b"B": b"C"}]
    assert key_of("hex:00", lambda _: b"never") == b"\x00"
    assert map_of({"a": 1}, lambda one: [one]) == {b"a": [1]}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.binary() | st.just(b"hex"), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_as_the_same_value(value: Value) -> None:
    text = write_json(jsonable(value))
    assert b"\n" not in text
    assert value_of(parse_json(text)) == value
    assert json.loads(text) == jsonable(value)
