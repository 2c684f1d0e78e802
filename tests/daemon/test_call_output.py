from __future__ import annotations

import pytest

from wiredaemon.commands import RawBytes
from wiredaemon.daemon.call_output import (
    OutputError,
    one_line,
    pretty,
    printable,
    raw,
)

NESTED: dict[bytes, object] = {
    b"b": [1, True, None, {b"x": b"y"}],
    b"a": {b"2", b"1"},
    b"empty": [[], {}, frozenset()],
}


def test_pretty_collections_go_over_lines_with_their_keys_in_order() -> None:
    assert pretty(NESTED).decode() == (
        "{\n"
        "  b'a': set([\n"
        "    b'1',\n"
        "    b'2'\n"
        "  ]),\n"
        "  b'b': [\n"
        "    1,\n"
        "    True,\n"
        "    None,\n"
        "    {\n"
        "      b'x': b'y'\n"
        "    }\n"
        "  ],\n"
        "  b'empty': [\n"
        "    [],\n"
        "    {},\n"
        "    set([])\n"
        "  ]\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x00\t\n\r\x1b\x7f\x80\xff", r"b'\x00\t\n\r\x1b\x7f\x80\xff'"),
        (b"a'b\"c\\d", r"""b'a\'b"c\\d'"""),
        (RawBytes(b"raw"), "b'raw'"),
        (-5, "-5"),
        (False, "False"),
        ({1: 2, b"a": 3}, "{\n  b'a': 3,\n  1: 2\n}"),
    ],
)
def test_pretty_values_are_escaped_as_mercurials_debug_tool_does(value: object, shown: str) -> None:
    assert pretty(value).decode() == f"{shown}\n"


def test_raw_writes_byte_strings_as_they_are_and_nothing_else() -> None:
    assert (raw(b"\x00\n"), raw(RawBytes(b"\xff"))) == (b"\x00\n", b"\xff")
    with pytest.raises(OutputError, match="--output raw cannot write it"):
        raw([b"a"])


def test_text_of_a_server_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\nd\r\u202e") == "a\\x1b[2Jb\tc\nd\\x0d\\x202e"
    assert one_line("  two\nlines \x07") == "two lines \\x07"
