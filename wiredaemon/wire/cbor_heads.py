"""Heads of CBOR items: writing them, and scanning them before an item is decoded.

The scan checks the subset of each era, the depth and the element count, and finds the exact end of
an item, without making a single object. It rewrites what 0003 to 0005 accept beyond the subset: a
text string becomes the byte string of its UTF-8, a tag other than the set's is dropped.

Source: framing, section 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.wire.limits import Limits

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SPECIAL = range(8)
"""Major types."""
SET_TAG: Final = 258
_INDEFINITE: Final = 31
# Negative, so that one comparison tells containers that count from those that do not.
_ENDLESS: Final = -1
_FIRST_WIDE: Final = 24
"""Additional information 24 to 27 announces a value of 1, 2, 4 or 8 octets."""
_LAST_WIDE: Final = 27
_FALSE, _TRUE, _NULL = 20, 21, 22

_HEADS: Final = {
    1: (24, Struct(">BB")),
    2: (25, Struct(">BH")),
    4: (26, Struct(">BI")),
    8: (27, Struct(">BQ")),
}


class CborError(ValueError):
    """The bytes are no CBOR that the dialect accepts, or cross a limit."""


class KeyOrder(Enum):
    """The order of the keys of a map that is encoded."""

    CANONICAL = "canonical"
    """Shorter keys first, then bytewise: 0003 to 0005 as released."""
    BYTEWISE = "bytewise"
    """Bytewise: 0006."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CborRules:
    """The CBOR that one dialect accepts, and the order of keys that it writes."""

    strict: bool
    """Only the subset of framing, section 5.4, is accepted; otherwise any well-formed CBOR."""
    key_order: KeyOrder


def encode_head(major: int, number: int) -> bytes:
    """Write the head of an item: major type and the shortest form of its number."""
    if number < _FIRST_WIDE:
        return bytes((major << 5 | number,))
    width = 1 << (number > 0xFF) + (number > 0xFFFF) + (number > 0xFFFFFFFF)  # noqa: PLR2004 widths
    info, layout = _HEADS[width]
    return layout.pack(major << 5 | info, number)


class _Head(NamedTuple):
    """The head of an item, as read."""

    data: bytes | bytearray
    start: int
    end: int
    """Offset just after the head."""
    info: int
    number: int
    """Value, length or count; `_ENDLESS` if indefinite."""


class ItemScanner:
    """Finds the end of one CBOR item and refuses what the dialect does not accept.

    It reads heads only and goes on where it stopped when more bytes have come, so an item of any
    size costs one pass, however it was cut.
    """

    __slots__ = (
        "_containers",
        "_elements",
        "_limits",
        "_open",
        "_position",
        "_strict",
        "_tags",
        "_texts",
    )

    def __init__(
        self, rules: CborRules, limits: Limits, *, start: int = 0, elements: int = 0
    ) -> None:
        """Scan one item.

        Args:
            rules: The CBOR that the dialect accepts.
            limits: ``cbor_depth`` and ``cbor_elements``.
            start: The offset of the item's first byte in the scanned data.
            elements: The number of items before it that count against the same limit.
        """
        self._strict = rules.strict
        self._limits = limits
        self._position = start
        self._elements = elements
        self._containers = 0
        # A stack of our own, not recursion: the depth is the peer's choice, up to `cbor_depth`, and
        # Python's stack is shared with all callers.
        self._open: list[int] = [1]
        """Items still to come in each open container; `_ENDLESS` for indefinite ones, and for
        indefinite strings the major type of their parts, negated."""
        # Only noted: an item that turns out to be refused, or incomplete, is not rewritten for
        # nothing.
        self._texts: list[int] = []
        self._tags: list[tuple[int, int]] = []

    @property
    def elements(self) -> int:
        """The number of items scanned so far, containers included."""
        return self._elements

    def scan(self, data: bytes | bytearray) -> int | None:  # noqa: C901, PLR0912 a call less per item
        """Return the offset just after the item, or None while it is incomplete.

        Args:
            data: All bytes so far; those that were scanned before are skipped.

        Raises:
            CborError: The item is not accepted; the text names why.
        """
        position, size, pending = self._position, len(data), self._open
        while pending:
            # A container is left when its last item was scanned; it may have been the last item
            # of another one.
            if pending[-1] == 0:
                pending.pop()
                continue
            if position >= size:
                break
            initial = data[position]
            major, info = initial >> 5, initial & 31
            after = position + 1
            if info < _FIRST_WIDE:
                number = info
            elif info <= _LAST_WIDE:
                after += 1 << (info - _FIRST_WIDE)
                if after > size:
                    break
                # Heads longer than needed are accepted: framing, section 5.4, asks for the shortest
                # of encoders only.
                number = int.from_bytes(data[position + 1 : after], "big")
            elif info == _INDEFINITE:
                number = _ENDLESS
            else:
                message = f"additional information {info} is reserved"
                raise CborError(message)
            # Whether a tag is accepted depends on the octet after it.
            if major == TAG and after >= size:
                break
            if major in (BYTES, TEXT) and number != _ENDLESS:
                # A huge length only makes an incomplete item: no memory is reserved for it.
                if after + number > size:
                    if major == TEXT and self._strict:
                        self._refuse_text()
                    break
                end = after + number
            else:
                end = after
            self._count(major, info)
            # Integers and byte strings, most of all items, need no further call.
            if major > BYTES or number == _ENDLESS:
                _ACCEPT[major](self, _Head(data, position, after, info, number))
            position = end
        self._position = position
        return None if pending else position

    def _count(self, major: int, info: int) -> None:
        """Count one item in its container and against the limit."""
        if major == SPECIAL and info == _INDEFINITE:
            return
        # RFC 8949, 3.2.3: the parts of an indefinite string are definite strings of its own major
        # type.
        if self._open[-1] < _ENDLESS and (major != -self._open[-1] or info == _INDEFINITE):
            message = "an indefinite string holds something else than definite strings of its type"
            raise CborError(message)
        self._elements += 1
        if self._elements > self._limits.cbor_elements:
            self._refuse_elements()
        if self._open[-1] > 0:
            self._open[-1] -= 1

    def _refuse_endless_integer(self, _: _Head) -> None:
        message = "an integer cannot have indefinite length"
        raise CborError(message)

    def _accept_endless_bytes(self, _: _Head) -> None:
        if self._strict and len(self._open) > 1:
            message = "indefinite length byte strings are only allowed as top level items"
            raise CborError(message)
        self._enter(-BYTES)

    def _accept_text(self, head: _Head) -> None:
        if self._strict:
            self._refuse_text()
        self._texts.append(head.start)
        if head.number == _ENDLESS:
            self._enter(-TEXT)

    def _accept_array(self, head: _Head) -> None:
        self._accept_container(head, 1)

    def _accept_map(self, head: _Head) -> None:
        self._accept_container(head, 2)

    def _accept_container(self, head: _Head, items_per_entry: int) -> None:
        if head.number == _ENDLESS:
            if self._strict:
                message = "indefinite length containers are not supported"
                raise CborError(message)
            self._enter(_ENDLESS)
            return
        # Refused at the head, before the items of a huge count arrive.
        if head.number > self._limits.cbor_elements:
            self._refuse_elements()
        self._enter(head.number * items_per_entry)

    def _accept_special(self, head: _Head) -> None:
        if head.info == _INDEFINITE:
            if self._open[-1] >= 0:
                message = "break outside of an indefinite item"
                raise CborError(message)
            # The loop of `scan` leaves a container whose count is 0; a break makes the end of an
            # endless one look alike.
            self._open[-1] = 0
        elif self._strict and head.info not in {_FALSE, _TRUE, _NULL}:
            message = f"special type {head.info} not allowed"
            raise CborError(message)

    def _accept_tag(self, head: _Head) -> None:
        if head.number == _ENDLESS:
            message = "a tag cannot have indefinite length"
            raise CborError(message)
        is_set = head.number == SET_TAG
        if self._strict and not is_set:
            message = f"semantic tag {head.number} not allowed"
            raise CborError(message)
        # A tag with a set's number on something else is dropped like any tag in the lenient
        # dialects: cbor2 would fail on it.
        holds_array = head.data[head.end] >> 5 == ARRAY
        if self._strict and not holds_array:
            message = "expected array after finite set semantic tag"
            raise CborError(message)
        if not (is_set and holds_array):
            self._tags.append((head.start, head.end))
        # A tag counts as a container of one item: tags on tags are bounded by `cbor_depth`, too.
        self._enter(1)

    def _enter(self, count: int) -> None:
        # The first entry stands for the item itself, which is no container.
        if len(self._open) > self._limits.cbor_depth:
            message = (
                f"containers inside each other exceed the limit of {self._limits.cbor_depth} "
                "(cbor_depth)"
            )
            raise CborError(message)
        self._containers += 1
        most = self._limits.cbor_containers
        if self._containers > most:
            message = f"containers exceed the limit of {most} (cbor_containers)"
            raise CborError(message)
        self._open.append(count)

    def _refuse_elements(self) -> None:
        message = f"items exceed the limit of {self._limits.cbor_elements} (cbor_elements)"
        raise CborError(message)

    def _refuse_text(self) -> None:
        message = "string major type not supported"
        raise CborError(message)

    def rewritten(self, item: bytes | bytearray) -> bytes | bytearray:
        """Return the item with byte string heads for text heads, and no tags but the set's.

        Args:
            item: Exactly the bytes of the item whose end was found.
        """
        if not self._texts and not self._tags:
            return item
        rewritten = bytearray(item)
        # The heads of text and byte strings differ in one bit.
        for position in self._texts:
            rewritten[position] ^= (TEXT ^ BYTES) << 5
        # In this order: positions of texts are those before any tag is cut out.
        kept = []
        position = 0
        for start, end in self._tags:
            kept.append(rewritten[position:start])
            position = end
        kept.append(rewritten[position:])
        return b"".join(kept)


# A tuple by number, because a match statement would compare up to seven times for the last of the
# types.
_ACCEPT: Final[tuple[Callable[[ItemScanner, _Head], None], ...]] = (
    ItemScanner._refuse_endless_integer,
    ItemScanner._refuse_endless_integer,
    ItemScanner._accept_endless_bytes,
    ItemScanner._accept_text,
    ItemScanner._accept_array,
    ItemScanner._accept_map,
    ItemScanner._accept_tag,
    ItemScanner._accept_special,
)
"""The methods that accept a head, by major type; definite integers and byte strings need none."""
