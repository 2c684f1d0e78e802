"""Literals of scripts."""

from __future__ import annotations

import pytest

from wiredaemon.debugtool.errors import ScriptError
from wiredaemon.debugtool.literals import literal, unescape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"\x09\n\\\'\"", b"\t\n\\'\""),
        (rb"\0\101\7770", b"\0A\xff0"),
        (rb"\q a\xffb", rb"\q a" + b"\xffb"),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_escapes_are_those_of_bytes_literals(text: bytes, expected: bytes) -> None:
    assert unescape(text) == expected


@pytest.mark.parametrize("text", [rb"\x", rb"\x1", rb"\xzz", b"end\\"])
def test_half_an_escape_is_refused(text: bytes) -> None:
    with pytest.raises(ScriptError, match="escape"):
        unescape(text)


def test_literals_are_pythons() -> None:
    value = literal(rb"{b'a\xff': [1, True, None, {b'x'}], b'b': -2}")
    assert value == {b"a\xff": [1, True, None, {b"x"}], b"b": -2}


@pytest.mark.parametrize("text", [b"f()", b"a*20", b"(", b"", b"[" * 9999, b"'\0'\0"])
def test_what_is_no_literal_is_refused(text: bytes) -> None:
    with pytest.raises(ScriptError, match="not a Python literal"):
        literal(text)
