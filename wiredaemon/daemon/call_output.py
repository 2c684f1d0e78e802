"""Objects in three forms, and texts of servers for people.

Source: client-tool, sections 3.2 and 3.6 (the pretty form).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import RawBytes
from wiredaemon.debugtool.values import order, over_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class OutputError(Exception):
    """An object has no such form; the text says which has."""


# --- objects ---------------------------------------------------------------------------------


def pretty(value: object) -> bytes:
    """Return a value as Mercurial's debug tool prints it, over lines."""
    return (over_lines(value) + "\n").encode("ascii", "backslashreplace")


def json_line(value: object) -> bytes:
    """Return a value as one line of JSON.

    Byte strings are text where they are UTF-8, else ``{"hex": "00ff"}``, and ``"hex:00ff"`` as keys
    of maps; sets are arrays.
    """
    return json.dumps(jsonable(value), ensure_ascii=False).encode("utf-8") + b"\n"


def jsonable(value: object) -> object:
    """Return what JSON can write of a value; it is what `json_line` says."""
    match value:
        case RawBytes(data=data):
            return jsonable(data)
        case bytes():
            text = _text(value)
            return {"hex": value.hex()} if text is None else text
        case dict():
            return {_json_key(key): jsonable(element) for key, element in value.items()}
        case list() | set() | frozenset():
            elements = value if isinstance(value, list) else sorted(value, key=order)
            return [jsonable(element) for element in elements]
        case _:
            return value


def _json_key(key: object) -> str:
    if not isinstance(key, bytes):
        return str(key)
    text = _text(key)
    return f"hex:{key.hex()}" if text is None else text


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def raw(value: object) -> bytes:
    """Return a byte string as it is.

    Raises:
        OutputError: It is none.
    """
    match value:
        case RawBytes(data=data):
            return data
        case bytes():
            return value
        case _:
            raise OutputError("the result is no byte string: --output raw cannot write it")


FORMS: Final[Mapping[str, Callable[[object], bytes]]] = {
    "pretty": pretty,
    "json": json_line,
    "raw": raw,
}
"""The function that formats an object, for each value of the option."""


# --- text for people -------------------------------------------------------------------------


def printable(text: str) -> str:
    """Return a server's text without control characters, which could steer a terminal."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str) -> str:
    """Return a text of a server as one line."""
    return printable(" ".join(text.split()))
