from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.commands import ArgumentType
from wiredaemon.daemon.call_arguments import ArgumentError, convert, read_word

if TYPE_CHECKING:
    from wiredaemon.commands import Value

DECLARED = {
    b"bytes": ArgumentType.BYTES,
    b"int": ArgumentType.INT,
    b"bool": ArgumentType.BOOL,
    b"list": ArgumentType.LIST,
    b"set": ArgumentType.SET,
    b"dict": ArgumentType.DICT,
}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (b"bytes=text", b"text"),
        (b"bytes=", b""),
        (b"bytes=a=b", b"a=b"),
        (b"bytes=\xff\xfe", b"\xff\xfe"),
        (b"bytes=hex:00fF", b"\x00\xff"),
        (b"bytes=hex:", b""),
        (b"int=-12", -12),
        (b"bool=true", True),
        (b"bool=False", False),
        (b"bool=1", True),
        (b"bool=0", False),
        (b"list=", []),
        (b"list=a", [b"a"]),
        (b"list=a,,hex:00ff", [b"a", b"", b"\x00\xff"]),
        (b"set=a,b,a", frozenset({b"a", b"b"})),
        (b"unknown=12", b"12"),
        (b"unknown=hex:00", b"\x00"),
        (b"dict:={}", {}),
        (b'dict:={"include": ["path:a", "hex:00"]}', {b"include": [b"path:a", b"\x00"]}),
        (b"int:=3", 3),
        (b"int:=[true, null, -1]", [True, None, -1]),
        ('bytes:="\u00e9"'.encode(), "\u00e9".encode()),
    ],
)
def test_a_word_is_read_as_the_declared_type_or_as_json(word: bytes, value: Value) -> None:
    given = read_word(word)
    assert convert([given], DECLARED) == {given.name: value}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (b"word", "^word is no argument: key=value, key=hex:00ff or key:=JSON$"),
        (b"=value", "^=value is no argument"),
        (b":=3", "^:=3 is no argument"),
        (b"bytes=hex:0", "^argument bytes: hex:0 is not hexadecimal$"),
        (b"bytes=hex:\xff", r"^argument bytes: hex:\\xff is not hexadecimal$"),
        (b"int=3.5", "^argument int must be a whole number, not 3.5$"),
        (b"int=", "^argument int must be a whole number"),
        (b"bool=yes", "^argument bool must be true, false, 1 or 0, not yes$"),
        (b"list=a,hex:x", "^argument list: hex:x is not hexadecimal$"),
        (b"dict=a", "^argument dict is a map: write it as dict:=JSON$"),
        (b"int:=", "^argument int is no JSON: "),
        (b"int:=\xff", "^argument int is no JSON: "),
        (b"int:=1.5", "^argument int: the protocol has no number like 1.5$"),
        (b"int:=NaN", "^argument int: the protocol has no number like nan$"),
    ],
)
def test_what_says_no_value_is_an_error_that_names_the_argument(word: bytes, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        convert([read_word(word)], DECLARED)
