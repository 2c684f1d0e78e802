"""Values as the debug client tool prints them: over lines, or all in one.

Source: client-tool, section 3.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.wire.values import RawBytes, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Those that Python's own escaping of bytes names (client-tool, section 3.2).
_NAMED: Final = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x27: "\\'", 0x5C: "\\\\"}


def escape(data: bytes) -> str:
    """Return bytes as ASCII, escaped like the inside of a Python bytes literal in single quotes."""
    return "".join(
        _NAMED.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")  # noqa: PLR2004 ASCII
        for byte in data
    )


def quoted(data: bytes) -> str:
    """Return bytes as a Python literal."""
    return f"b'{escape(data)}'"


def over_lines(value: object, quote: Callable[[bytes], str] = quoted) -> str:
    """Return a value over lines, two spaces further in for each collection.

    Args:
        value: Of any type; keys of maps and elements of sets are sorted.
        quote: The form of byte strings.
    """
    return "".join(_over_lines(value, "", quote))


def generated(values: Iterable[object]) -> str:
    """Return the objects of a response over lines, as a collection of its own kind."""
    parts = (_over_lines(value, "  ", quoted) for value in values)
    return "".join(_collection("gen[", parts, "]", ""))


def in_one_line(value: object) -> str:
    """Return a value in one line; keys of maps are sorted."""
    match value:
        case RawBytes(data=data):
            return quoted(data)
        case bytes():
            return quoted(value)
        case dict():
            items = sorted(value.items(), key=order)
            shown = (f"{in_one_line(key)}: {in_one_line(element)}" for key, element in items)
            return f"{{{', '.join(shown)}}}"
        case list():
            return f"[{', '.join(map(in_one_line, value))}]"
        case set() | frozenset():
            return f"set([{', '.join(map(in_one_line, sorted(value, key=order)))}])"
        case _:
            return repr(value)


def _over_lines(value: object, indent: str, quote: Callable[[bytes], str]) -> Iterator[str]:
    further = f"{indent}  "
    match value:
        case RawBytes(data=data):
            yield quote(data)
        case bytes():
            yield quote(value)
        case dict():
            parts = (
                ["".join(_over_lines(key, "", quote)), ": ", *_over_lines(element, further, quote)]
                for key, element in sorted(value.items(), key=order)
            )
            yield from _collection("{", parts, "}", indent)
        case list():
            shown = (_over_lines(element, further, quote) for element in value)
            yield from _collection("[", shown, "]", indent)
        case set() | frozenset():
            elements = sorted(value, key=order)
            shown = (_over_lines(element, further, quote) for element in elements)
            yield from _collection("set([", shown, "])", indent)
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
