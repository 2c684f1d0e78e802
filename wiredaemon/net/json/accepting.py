"""Chooses the media type of an answer by what the client accepts.

Source: RFC 9110, section 12.5.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_QUALITY: Final = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_ANY: Final = b"*"


def choose(accept: bytes | None, offered: Sequence[bytes]) -> bytes | None:
    """Return the offered media type that the client likes best, or None if it accepts none.

    Args:
        accept: The header; without it, everything is accepted.
        offered: The media types in lower case; of those that are liked as much the first counts.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = list(_ranges(accept))
    best: tuple[float, bytes | None] = (0.0, None)
    for media_type in offered:
        quality = _quality(media_type, ranges)
        if quality > best[0]:
            best = quality, media_type
    return best[1]


def _ranges(accept: bytes) -> Iterator[tuple[bytes, float]]:
    """Yield each range with its quality; the other parameters of a range say nothing here."""
    for part in accept.split(b","):
        media_range, *parameters = part.split(b";")
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition(b"=")
            if name.strip().lower() == b"q":
                value = value.strip()
                quality = float(value) if _QUALITY.fullmatch(value) else 0.0
        yield media_range.strip().lower(), quality


def _quality(media_type: bytes, ranges: Sequence[tuple[bytes, float]]) -> float:
    """Return how much a media type is liked: what names it more exactly takes precedence."""
    family = media_type.partition(b"/")[0] + b"/" + _ANY
    for wanted in (media_type, family, b"*/*"):
        found = [quality for media_range, quality in ranges if media_range == wanted]
        if found:
            return max(found)
    return 0.0
