"""Output of ``wiredaemon call``: objects in three forms, text and progress for people.

Source: client-tool, sections 3.2 and 3.6 (the pretty form).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from wiredaemon.commands import RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wiredaemon.protocol import ProgressReceived


class OutputError(Exception):
    """An object has no such form; the text says which has."""


# --- objects ---------------------------------------------------------------------------------


def pretty(value: object) -> bytes:
    """Return a value as Mercurial's debug tool prints it, over lines."""
    return ("".join(_pretty(value, "")) + "\n").encode("ascii", "backslashreplace")


def _pretty(value: object, indent: str) -> Iterator[str]:
    match value:
        case RawBytes(data=data):
            yield _quoted(data)
        case bytes():
            yield _quoted(value)
        case dict():
            items = sorted(value.items(), key=_order)
            parts = (
                [f"{_inline(key)}: ", *_pretty(element, f"{indent}  ")] for key, element in items
            )
            yield from _collection("{", parts, "}", indent)
        case list():
            yield from _collection(
                "[", (_pretty(element, f"{indent}  ") for element in value), "]", indent
            )
        case set() | frozenset():
            elements = sorted(value, key=_order)
            yield from _collection(
                "set([", (_pretty(element, f"{indent}  ") for element in elements), "])", indent
            )
        case _:
            yield repr(value)


def _collection(begin: str, parts: Iterable[Iterable[str]], end: str, indent: str) -> Iterator[str]:
    yield begin
    separator = "\n"
    for part in parts:
        yield f"{separator}{indent}  "
        yield from part
        separator = ",\n"
    yield end if separator == "\n" else f"\n{indent}{end}"


def _inline(value: object) -> str:
    return "".join(_pretty(value, ""))


def _order(value: object) -> tuple[str, str | bytes]:
    """Return a sort key: bytes by themselves, other keys by their repr."""
    first = value[0] if isinstance(value, tuple) else value
    return ("", first.hex()) if isinstance(first, bytes) else (type(first).__name__, repr(first))


# Those that Python's own escaping of bytes names, which the tool of Mercurial uses (client-tool,
# section 3.6).
_NAMED: Final = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x27: "\\'", 0x5C: "\\\\"}


def _quoted(data: bytes) -> str:
    text = "".join(
        _NAMED.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")  # noqa: PLR2004 ASCII
        for byte in data
    )
    return f"b'{text}'"


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
            elements = value if isinstance(value, list) else sorted(value, key=_order)
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
