"""The values that travel: what CBOR items mean in Python, and two forms it has no type for.

Source: framing, sections 5.4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias, Union

Value: TypeAlias = Union[
    bool,
    int,
    bytes,
    str,
    "RawBytes",
    "IndefiniteBytes",
    Sequence["Value"],
    AbstractSet["Value"],
    Mapping[bytes, "Value"],
    Mapping[str, "Value"],
    None,
]
"""What can be sent. ``str`` travels as its UTF-8 bytes; there is no text on the wire.

What was received is an ``object``: whoever uses it checks what it is.
"""


@dataclass(slots=True, unsafe_hash=True)
class RawBytes:
    """Bytes that dialects 0002 and 0003 send as they are, and later ones as a byte string.

    A value, not to be changed; frozen it would take twice as long to make.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class IndefiniteBytes:
    """A top-level byte string sent in chunks, its length unknown beforehand (0006 only)."""

    chunks: Iterable[bytes]
