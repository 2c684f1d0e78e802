"""Short byte strings, and maps of nothing else: encoded without cbor2, which takes twice as long.

Source: framing, section 5.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.wire.cbor_heads import BYTES, MAP, KeyOrder, encode_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.values import Value

SHORT_STRINGS: Final = 256
STRING_HEADS: Final = [encode_head(BYTES, size) for size in range(SHORT_STRINGS)]
"""Heads of short byte strings, by length."""
_SHORT_MAP: Final = 24
_MAP_HEADS: Final = [encode_head(MAP, size) for size in range(_SHORT_MAP)]
"""Heads of short maps, by the number of their entries."""


def encode_strings(strings: Mapping[bytes, Value], order: KeyOrder) -> bytes | None:
    """Encode a map of short byte strings as `encode` does; None where it holds anything else.

    The arguments of most requests are such: this takes 0.3 us for one of them, `encode` 1.0.
    """
    count = len(strings)
    if count >= _SHORT_MAP:
        return None
    pairs = list(strings.items())
    if count > 1:
        if {*map(type, strings)} != {bytes}:
            return None
        pairs.sort(key=_length_first if order is KeyOrder.CANONICAL else _name)
    parts = [_MAP_HEADS[count]]
    for name, value in pairs:
        if type(name) is not bytes or type(value) is not bytes:
            return None
        if len(name) >= SHORT_STRINGS or len(value) >= SHORT_STRINGS:
            return None
        parts += STRING_HEADS[len(name)], name, STRING_HEADS[len(value)], value
    return b"".join(parts)


def _length_first(pair: tuple[bytes, Value]) -> tuple[int, bytes]:
    return len(pair[0]), pair[0]


def _name(pair: tuple[bytes, Value]) -> bytes:
    return pair[0]
