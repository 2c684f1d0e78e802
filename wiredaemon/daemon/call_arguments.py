"""Arguments of commands: from words of a command line and from JSON to values.

| word | value |
|---|---|
| ``key=text`` | the text, read as the type that the server declares; bytes where it does not |
| ``key=hex:00ff`` | these bytes; in a list or a set each element may be written so |
| ``key=@file`` | what is in the file, as it is; ``key=@`` is an at sign |
| ``key:=JSON``, ``key:=@file`` | what the JSON says; its strings are bytes, ``"hex:00ff"`` too |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import ArgumentType
from wiredaemon.daemon.call_files import STANDARD_INPUT, ArgumentError, read_file
from wiredaemon.wire.json_values import JsonError, key_of, parse_json, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wiredaemon.commands import Value

_HEX: Final = b"hex:"
_FILE: Final = b"@"
_FORMS: Final = "key=value, key=hex:00ff, key=@file or key:=JSON"
_MOST_DIGITS: Final = len(str(-(2**64)))
_BOOLS: Final[Mapping[bytes, bool]] = {b"true": True, b"1": True, b"false": False, b"0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One argument, as it stands on the command line."""

    name: bytes
    text: bytes = b""
    """The text to be parsed as the declared type."""
    said: object = None
    """What the JSON says."""
    is_json: bool = False
    """The argument is what JSON says; otherwise it is ``text``."""
    is_exact: bool = False
    """The text is from a file: nothing in it has a meaning of its own."""


def read_word(word: bytes) -> Given:
    """Parse one word.

    Raises:
        ArgumentError: The word has none of the forms.
        OSError: Its file cannot be read.
    """
    name, equals, text = word.partition(b"=")
    if not equals or not name or name == b":":
        raise ArgumentError(f"{_shown(word)} is no argument: {_FORMS}")
    # An at sign alone is a name that many bookmarks have.
    is_file = text.startswith(_FILE) and text != _FILE
    if is_file:
        text = read_file(os.fsdecode(text.removeprefix(_FILE)))
    if name.endswith(b":"):
        name = name[:-1]
        return Given(name=name, said=_parse(f"argument {_shown(name)}", text), is_json=True)
    return Given(name=name, text=text, is_exact=is_file)


def read_object(name: str) -> Sequence[Given]:
    """Parse a file that has all arguments as one JSON object.

    Raises:
        ArgumentError: There is no JSON object in it.
        OSError: It cannot be read.
    """
    shown = "standard input" if name == STANDARD_INPUT else name
    said = _parse(shown, read_file(name))
    if not isinstance(said, dict):
        raise ArgumentError(f"{shown} is no JSON object of arguments")
    return [Given(name=_key(shown, key), said=one, is_json=True) for key, one in said.items()]


def read_given(words: Iterable[bytes], file: str | None) -> Sequence[Given]:
    """Parse all arguments.

    Args:
        words: Those of the command line.
        file: The name of a file with further ones as a JSON object, or None.

    Raises:
        ArgumentError: One is none, or is given twice.
        OSError: A file cannot be read.
    """
    given = [*(read_object(file) if file is not None else ()), *map(read_word, words)]
    seen: set[bytes] = set()
    for one in given:
        if one.name in seen:
            raise ArgumentError(f"argument {_shown(one.name)} is given twice")
        seen.add(one.name)
    return given


def convert(
    given: Iterable[Given], declared: Mapping[bytes, ArgumentType]
) -> Mapping[bytes, Value]:
    """Return the arguments to call with.

    Args:
        given: The parsed arguments.
        declared: The types that the server declares, by name.

    Raises:
        ArgumentError: A text is no value of its type.
    """
    return {one.name: _convert(one, declared.get(one.name)) for one in given}


def _convert(one: Given, declared: ArgumentType | None) -> Value:
    kind = declared or ArgumentType.BYTES
    if one.is_json:
        if isinstance(one.said, float) and kind is ArgumentType.FLOAT:
            return _encode(repr(one.said))
        return _from_json(f"argument {_shown(one.name)}", one.said)
    if not one.is_exact:
        return _READERS[kind](one.name, one.text)
    if kind in {ArgumentType.BYTES, ArgumentType.TEXT}:
        return one.text
    # Editors end each line; a number has none.
    return _READERS[kind](one.name, one.text.rstrip(b"\r\n"))


def _read_bytes(name: bytes, text: bytes) -> Value:
    return _read_hex(f"argument {_shown(name)}", text) if text.startswith(_HEX) else text


def _read_hex(subject: str, text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix(_HEX).decode("ascii"))
    except ValueError:
        raise ArgumentError(f"{subject}: {_shown(text)} is not hexadecimal") from None


def _read_int(name: bytes, text: bytes) -> Value:
    # Python alone would also take spaces, underscores and a plus sign.
    if not text.removeprefix(b"-").isdigit():
        raise ArgumentError(f"argument {_shown(name)} must be a whole number, not {_shown(text)}")
    # Before Python counts the digits, too.
    if len(text) > _MOST_DIGITS:
        raise ArgumentError(f"argument {_shown(name)} must have at most 64 bits")
    return int(text)


def _read_bool(name: bytes, text: bytes) -> Value:
    if text.lower() not in _BOOLS:
        message = f"argument {_shown(name)} must be true, false, 1 or 0, not {_shown(text)}"
        raise ArgumentError(message)
    return _BOOLS[text.lower()]


def _read_list(name: bytes, text: bytes) -> list[Value]:
    """Return the elements between the commas; an empty text has none."""
    return [_read_bytes(name, part) for part in text.split(b",")] if text else []


def _read_set(name: bytes, text: bytes) -> Value:
    return frozenset(part for part in _read_list(name, text) if isinstance(part, bytes))


def _refuse_map(name: bytes, _text: bytes) -> Value:
    raise ArgumentError(f"argument {_shown(name)} is a map: write it as {_shown(name)}:=JSON")


_READERS: Final[Mapping[ArgumentType, Callable[[bytes, bytes], Value]]] = {
    ArgumentType.BYTES: _read_bytes,
    ArgumentType.INT: _read_int,
    ArgumentType.BOOL: _read_bool,
    ArgumentType.LIST: _read_list,
    ArgumentType.SET: _read_set,
    ArgumentType.DICT: _refuse_map,
    # As texts, which every dialect carries; the server checks them.
    ArgumentType.FLOAT: _read_bytes,
    ArgumentType.TEXT: _read_bytes,
}


def _parse(subject: str, text: bytes) -> object:
    """Parse JSON; errors begin with ``subject``."""
    try:
        return parse_json(text)
    except JsonError as error:
        raise ArgumentError(f"{subject} is no JSON: {error}") from None


def _key(subject: str, key: str) -> bytes:
    try:
        return _string(key)
    except JsonError as error:
        raise ArgumentError(f"{subject}: {error}") from None


def _from_json(subject: str, said: object) -> Value:
    try:
        return value_of(said, _string)
    except JsonError as error:
        raise ArgumentError(f"{subject}: {error}") from None


def _string(text: str) -> bytes:
    """Return a string of JSON as bytes: its own, or those that it writes in hexadecimal."""
    return key_of(text, _encode)


def _encode(text: str) -> bytes:
    # Escapes of JSON may be halves of characters, which UTF-8 has not.
    return text.encode("utf-8", "surrogatepass")


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")
