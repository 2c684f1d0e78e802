"""Arguments of ``wiredaemon call``: from words of a command line to values.

| word | value |
|---|---|
| ``key=text`` | the text, read as the type that the server declares; bytes where it does not |
| ``key=hex:00ff`` | these bytes; in a list or a set each element may be written so |
| ``key:=JSON`` | what the JSON says; its strings are bytes, ``"hex:00ff"`` too |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import ArgumentType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wiredaemon.commands import Value

_HEX: Final = b"hex:"
_BOOLS: Final[Mapping[bytes, bool]] = {b"true": True, b"1": True, b"false": False, b"0": False}


class ArgumentError(Exception):
    """A word of the command line is no argument; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One argument, as it stands on the command line."""

    name: bytes
    text: bytes = b""
    """The text to be parsed as the declared type."""
    value: Value = None
    """The value of the JSON."""
    is_typed: bool = False
    """The argument is ``value``; otherwise it is ``text``."""


def read_word(word: bytes) -> Given:
    """Parse one word.

    Raises:
        ArgumentError: The word has none of the three forms.
    """
    name, equals, text = word.partition(b"=")
    if not equals or not name or name == b":":
        raise ArgumentError(f"{_shown(word)} is no argument: key=value, key=hex:00ff or key:=JSON")
    if name.endswith(b":"):
        name = name[:-1]
        return Given(name=name, value=_read_json(name, text), is_typed=True)
    return Given(name=name, text=text)


def convert(
    given: Iterable[Given], declared: Mapping[bytes, ArgumentType]
) -> Mapping[bytes, Value]:
    """Return the arguments to call with.

    Args:
        given: The parsed words.
        declared: The types that the server declares, by name.

    Raises:
        ArgumentError: A text is no value of its type.
    """
    return {
        one.name: one.value if one.is_typed else _convert(one, declared.get(one.name))
        for one in given
    }


def _convert(one: Given, declared: ArgumentType | None) -> Value:
    return _READERS[declared or ArgumentType.BYTES](one.name, one.text)


def _read_bytes(name: bytes, text: bytes) -> Value:
    return _read_hex(name, text) if text.startswith(_HEX) else text


def _read_hex(name: bytes, text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix(_HEX).decode("ascii"))
    except ValueError:
        raise ArgumentError(f"argument {_shown(name)}: {_shown(text)} is not hexadecimal") from None


def _read_int(name: bytes, text: bytes) -> Value:
    # Python alone would also take spaces, underscores and a plus sign.
    if not text.removeprefix(b"-").isdigit():
        raise ArgumentError(f"argument {_shown(name)} must be a whole number, not {_shown(text)}")
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


def _read_json(name: bytes, text: bytes) -> Value:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"argument {_shown(name)} is no JSON: {error}") from None
    return _from_json(name, said)


def _from_json(name: bytes, said: object) -> Value:
    match said:
        # JSON's floats are missing: 0006 has none (framing, section 5.4), and no command takes any.
        case None | bool() | int():
            return said
        case str():
            return _read_bytes(name, _encode(said))
        case list():
            return [_from_json(name, one) for one in said]
        case dict():
            return {_encode(key): _from_json(name, one) for key, one in said.items()}
        case _:
            raise ArgumentError(f"argument {_shown(name)}: the protocol has no number like {said}")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")
