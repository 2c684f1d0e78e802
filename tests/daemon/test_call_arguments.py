from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.commands import ArgumentType
from wiredaemon.daemon.call_arguments import convert, read_given, read_word
from wiredaemon.daemon.call_files import LARGEST_FILE, ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.commands import Value

DECLARED = {
    b"bytes": ArgumentType.BYTES,
    b"int": ArgumentType.INT,
    b"bool": ArgumentType.BOOL,
    b"list": ArgumentType.LIST,
    b"set": ArgumentType.SET,
    b"dict": ArgumentType.DICT,
    b"float": ArgumentType.FLOAT,
    b"text": ArgumentType.TEXT,
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
        (b"bytes=@", b"@"),
        (b"float=1.5", b"1.5"),
        (b"float:=1.5", b"1.5"),
        (b'bytes:={"hex": "00ff"}', b"\x00\xff"),
        (b'dict:={"hex": "00", "hex:ff": {}}', {b"hex": b"00", b"\xff": {}}),
        (b'bytes:="\\ud800"', b"\xed\xa0\x80"),
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
        (b"word", "^word is no argument: key=value, key=hex:00ff, key=@file or key:=JSON$"),
        (b"=value", "^=value is no argument"),
        (b":=3", "^:=3 is no argument"),
        (b"bytes=hex:0", "^argument bytes: hex:0 is not hexadecimal$"),
        (b"bytes=hex:\xff", r"^argument bytes: hex:\\xff is not hexadecimal$"),
        (b"int=3.5", "^argument int must be a whole number, not 3.5$"),
        (b"int=", "^argument int must be a whole number"),
        (b"int=" + b"9" * 5000, "^argument int must have at most 64 bits$"),
        (b"bool=yes", "^argument bool must be true, false, 1 or 0, not yes$"),
        (b"list=a,hex:x", "^argument list: hex:x is not hexadecimal$"),
        (b"dict=a", "^argument dict is a map: write it as dict:=JSON$"),
        (b"int:=", "^argument int is no JSON: "),
        (b"int:=\xff", "^argument int is no JSON: "),
        (b"int:=1.5", "^argument int: the protocol has no number like 1.5$"),
        (b"int:=[1.5]", "^argument int: the protocol has no number like 1.5$"),
        (b"float:=[1.5]", "^argument float: the protocol has no number like 1.5$"),
        (b'dict:={"a": 1, "a": 2}', "^argument dict is no JSON: the key a is given twice$"),
        (b'bytes:={"hex": "0"}', "^argument bytes: 0 is not hexadecimal$"),
        (b"list:=" + b"[" * 100_000, "^argument list is no JSON: it is nested too deeply$"),
        (b"int:=NaN", "^argument int is no JSON: NaN is no number of JSON$"),
    ],
)
def test_what_says_no_value_is_an_error_that_names_the_argument(word: bytes, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        convert([read_word(word)], DECLARED)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("bytes", b"hex:00\n", b"hex:00\n"),
        ("text", b"two\nlines\n", b"two\nlines\n"),
        ("unknown", b"\xff", b"\xff"),
        ("int", b"12\r\n", 12),
        ("float", b"1.5\n", b"1.5"),
        ("bool", b"true\n", True),
        ("list", b"a,b\n", [b"a", b"b"]),
        ("list:", b'["a", 1]\n', [b"a", 1]),
    ],
)
def test_a_file_has_the_value(tmp_path: Path, name: str, content: bytes, value: Value) -> None:
    file = tmp_path / "given"
    file.write_bytes(content)
    given = read_word(f"{name}=@{file}".encode())
    assert convert([given], DECLARED) == {name.rstrip(":").encode(): value}


def test_a_file_has_all_arguments_beside_those_in_words(tmp_path: Path) -> None:
    file = tmp_path / "given.json"
    file.write_text('{"list": ["a"], "int": 3, "float": 0.5, "hex:ff": null}', encoding="utf-8")
    assert convert(read_given([b"bytes=b"], str(file)), DECLARED) == {
        b"list": [b"a"],
        b"int": 3,
        b"float": b"0.5",
        b"\xff": None,
        b"bytes": b"b",
    }


@pytest.mark.parametrize(
    ("words", "content", "text"),
    [
        ([b"a=1", b"a=2"], "{}", "^argument a is given twice$"),
        ([b"a:=1", b"a=2"], "{}", "^argument a is given twice$"),
        ([b"a=1"], '{"a": 1}', "^argument a is given twice$"),
        ([], '{"a": 1, "a": 1}', "given.json is no JSON: the key a is given twice$"),
        ([], '{"a": 1, "hex:61": 1}', "^argument a is given twice$"),
        ([], "[]", "given.json is no JSON object of arguments$"),
        ([], "{", "given.json is no JSON: "),
        ([], " " * (LARGEST_FILE + 1), "given.json has more than 16777216 bytes: send it with"),
    ],
)
def test_what_is_given_twice_or_is_no_object_is_an_error(
    tmp_path: Path, words: list[bytes], content: str, text: str
) -> None:
    file = tmp_path / "given.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ArgumentError, match=text):
        read_given(words, str(file))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nosuch"):
        read_word(f"a=@{tmp_path / 'nosuch'}".encode())
