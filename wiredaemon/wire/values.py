"""Values that can be sent: Python's types for CBOR items, and own types for other forms.

Source: framing, sections 5.4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

Value: TypeAlias = Union[
    bool,
    int,
    bytes,
    str,
    "RawBytes",
    "IndefiniteBytes",
    "Encoded",
    "Recorded",
    "Redirect",
    Sequence["Value"],
    AbstractSet["Value"],
    Mapping[bytes, "Value"],
    Mapping[str, "Value"],
    None,
]
"""A value that can be sent. ``str`` is sent as its UTF-8 bytes; there is no text on the wire.

A value that was received is an ``object``, whose type must be checked before use.
"""


class UnencodableError(TypeError):
    """A value has no form on the wire."""


@dataclass(slots=True, unsafe_hash=True)
class RawBytes:
    """Bytes that dialects 0002 and 0003 send as they are, and later ones as a byte string.

    It must not be changed. It is not frozen, because to make a frozen one takes 0.14 us instead of
    0.07.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class IndefiniteBytes:
    """A top-level byte string sent in chunks, its length unknown beforehand (0006 only)."""

    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Encoded:
    """CBOR items that are encoded already, or the next part of some (0006 only)."""

    parts: Sequence[bytes]
    """The parts; without a content encoding each is sent in a frame of its own."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The next part of a whole response that was content encoded before (0006 only).

    All parts together are the ok map, the objects and what a flush returns after them, encoded by
    one fresh encoder. They are sent on a stream of their own.
    """

    encoding: bytes
    """The profile's name; the same in all parts."""
    parts: Sequence[bytes]


CBOR_MEDIA_TYPE: Final = b"application/mercurial-cbor"
"""The media type of objects one after the other, without a status map.

Mercurial's clients follow redirects to no other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The place where the response is kept, as the only object of a response (0006 only).

    Send it only to a client that listed the target. The wire has further keys, for a seed of
    the hashes and for certificates of the target's server; Mercurial's clients ignore them, and
    they are left out.

    Source: framing, section 6.3; commands, section 4.15.
    """

    url: bytes
    media_type: bytes = CBOR_MEDIA_TYPE
    size: int | None = None
    """The size in bytes of what is kept there."""
    full_hashes: Sequence[tuple[bytes, bytes]] = ()
    """Names of hash functions and the hashes, as raw bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a command in one of its topics.

    Source: framing, section 9.
    """

    topic: bytes
    """The name of the activity whose steps are counted."""
    position: int
    """The number of steps done; -1 ends the topic."""
    total: int | None = None
    """The position at the end, where it is known."""
    label: bytes | None = None
    """The unit of the position, such as ``files``."""
    item: bytes | None = None
    """The name of the item that is worked on."""


def order(value: object) -> tuple[str, str | bytes]:
    """Return a sort key of elements, and of pairs by their keys: bytes by themselves first."""
    first = value[0] if isinstance(value, tuple) else value
    return ("", first.hex()) if isinstance(first, bytes) else (type(first).__name__, repr(first))
