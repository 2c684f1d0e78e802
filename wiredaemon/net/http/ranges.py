"""Which bytes of a file a request wants, and whether the client has it already.

Source: RFC 9110, sections 13 and 14.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# More digits are no size of a file, and Python takes long to read thousands of them.
_RANGE: Final = re.compile(rb"bytes=[ \t]*([0-9]{0,19})[ \t]*-[ \t]*([0-9]{0,19})[ \t]*")
_ANY: Final = b"*"


class Wanted(Enum):
    """The answers that hold no bytes."""

    NOTHING = auto()
    """The client has the file: 304."""
    BEYOND = auto()
    """The file has no such bytes: 416."""


class Part(NamedTuple):
    """Bytes of a file."""

    start: int
    size: int
    is_whole: bool
    """The answer is the file, not a part of it."""


def wanted_part(header: Callable[[bytes], bytes | None], etag: bytes, size: int) -> Part | Wanted:
    """Return which bytes a ``GET`` or ``HEAD`` wants.

    Several ranges at once are answered with the file, as those that are not understood.

    Args:
        header: Returns the value of a header of the request.
        etag: The file's, in quotes; a file that has changed has another one.
        size: Bytes of the file.
    """
    known = header(b"If-None-Match")
    if known is not None and _names(known, etag):
        return Wanted.NOTHING
    everything = Part(0, size, is_whole=True)
    found = _RANGE.fullmatch(header(b"Range") or b"")
    only_if = header(b"If-Range")
    if found is None or (only_if is not None and only_if != etag):
        return everything
    first, last = found.groups()
    if not first:
        if not last:
            return everything
        count = min(int(last), size)
        return Part(size - count, count, is_whole=False) if count else Wanted.BEYOND
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return everything
    return Part(start, end - start + 1, is_whole=False) if start < size else Wanted.BEYOND


def _names(header: bytes, etag: bytes) -> bool:
    listed = [each.strip().removeprefix(b"W/") for each in header.split(b",")]
    return etag in listed or listed == [_ANY]
