"""Output of ``wiredaemon call``: objects in three forms, text and progress for people.

Source: client-tool, sections 3.2 and 3.6 (the pretty form).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from wiredaemon.commands import RawBytes
from wiredaemon.debugtool.values import order, over_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.protocol import ProgressReceived


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
    return json.dumps(_jsonable(value), ensure_ascii=False).encode("utf-8") + b"\n"


def _jsonable(value: object) -> object:
    match value:
        case RawBytes(data=data):
            return _jsonable(data)
        case bytes():
            text = _text(value)
            return {"hex": value.hex()} if text is None else text
        case dict():
            return {_json_key(key): _jsonable(element) for key, element in value.items()}
        case list() | set() | frozenset():
            elements = value if isinstance(value, list) else sorted(value, key=order)
            return [_jsonable(element) for element in elements]
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


class Terminal:
    """Observes a call: writes its text and progress to the terminal."""

    def __init__(self, errors: TextIO, output: BinaryIO) -> None:
        """Write to standard error.

        Args:
            errors: Standard error; progress overwrites itself on a terminal.
            output: Standard output, flushed before each write so that both come in order.
        """
        self._errors = errors
        self._output = output
        self._is_terminal = errors.isatty()
        self._has_progress = False

    def receive_text(self, text: bytes) -> None:
        """Write text for people."""
        self.clear()
        self._output.flush()
        self._errors.write(printable(text.decode("utf-8", "replace")))
        self._errors.flush()

    def receive_progress(self, progress: ProgressReceived) -> None:
        """Write progress, or that a topic has ended."""
        self.clear()
        if progress.position < 0:
            return
        total = "" if progress.total is None else f"/{progress.total}"
        parts = [progress.topic + b":", f"{progress.position}{total}".encode()]
        parts += [part for part in (progress.label, progress.item) if part]
        line = one_line(b" ".join(parts).decode("utf-8", "replace"))
        self._errors.write(line if self._is_terminal else f"{line}\n")
        self._errors.flush()
        self._has_progress = self._is_terminal

    def clear(self) -> None:
        """Erase the progress line."""
        if self._has_progress:
            # To the front of the line, and erase to its end (ECMA-48): the next line may be
            # shorter.
            self._errors.write("\r\x1b[K")
            self._errors.flush()
            self._has_progress = False
