"""Objects in three forms, and texts of servers for people.

Source: client-tool, sections 3.2 and 3.6 (the pretty form).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import RawBytes
from wiredaemon.debugtool.values import over_lines
from wiredaemon.wire.json_values import json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class OutputError(Exception):
    """An object has no such form; the text says which has."""


# --- objects ---------------------------------------------------------------------------------


def pretty(value: object) -> bytes:
    """Return a value as Mercurial's debug tool prints it, over lines."""
    return (over_lines(value) + "\n").encode("ascii", "backslashreplace")


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
