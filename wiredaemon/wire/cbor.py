"""CBOR bodies of each era, in and out, over ``cbor2``.

``cbor2`` accepts far more than the protocol does and has no option to refuse it, so the heads of
all items are scanned first (`ItemScanner`): the subset, depth, element count and exact end are
known before a single object is made. What 0003 to 0005 accept beyond the subset is rewritten on
the way: a text string becomes the byte string of its UTF-8, a tag other than the set's is dropped.

Source: framing, section 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cbor2

from wiredaemon.wire.values import IndefiniteBytes, RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SPECIAL = range(8)
_SET_TAG: Final = 258
_INDEFINITE: Final = 31
_ENDLESS: Final = -1
_FIRST_WIDE: Final = 24
"""Additional information 24 to 27 announces a value of 1, 2, 4 or 8 octets."""
_LAST_WIDE: Final = 27
_FALSE, _TRUE, _NULL = 20, 21, 22
_LARGEST: Final = (1 << 64) - 1

_UNHASHED_ELEMENTS: Final = 256
"""Items that may hold map keys other than strings: too few to make hash collisions hurt."""

_HEADS: Final = {
    1: (24, Struct(">BB")),
    2: (25, Struct(">BH")),
    4: (26, Struct(">BI")),
    8: (27, Struct(">BQ")),
}


class CborError(ValueError):
    """The bytes are not what the dialect accepts as CBOR, or cross a limit."""


class UnencodableError(TypeError):
    """A value has no form on the wire."""


class KeyOrder(Enum):
    """How the keys of a map are put in order when it is encoded."""

    CANONICAL = "canonical"
    """Shorter key first, then bytewise: 0003 to 0005 as released."""
    BYTEWISE = "bytewise"
    """0006."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CborRules:
    """What one dialect accepts and how it writes."""

    strict: bool
    """Only the subset of framing 5.4 is accepted, else any well-formed CBOR."""
    key_order: KeyOrder


# --- out -------------------------------------------------------------------------------------


def encode(value: Value, order: KeyOrder) -> bytes:
    """Encode one value: definite lengths, minimal integers, keys in the order asked for.

    Raises:
        UnencodableError: The value, or one inside it, has no form on the wire.
    """
    if type(value) is bytes:
        return cbor2.dumps(value)
    return cbor2.dumps(_plain(value, order))


def encode_pieces(value: Value, order: KeyOrder) -> Iterator[bytes]:
    """Encode one value in the pieces that 0006 coalesces (framing 6.3, step 4).

    A scalar is one piece, but the head and the content of a byte string are two; the head of a
    container is one piece, followed by those of its elements.

    Raises:
        UnencodableError: As `encode`, perhaps after some pieces.
    """
    if isinstance(value, IndefiniteBytes):
        yield b"\x5f"
        for part in value.chunks:
            yield encode_head(_BYTES, len(part))
            yield part
        yield b"\xff"
        return
    yield from _pieces(_plain(value, order))


def encode_head(major: int, number: int) -> bytes:
    """Write the head of an item: major type and the shortest form of its number."""
    if number < _FIRST_WIDE:
        return bytes((major << 5 | number,))
    width = 1 << (number > 0xFF) + (number > 0xFFFF) + (number > 0xFFFFFFFF)  # noqa: PLR2004 widths
    info, layout = _HEADS[width]
    return layout.pack(major << 5 | info, number)


def _pieces(plain: object) -> Iterator[bytes]:
    match plain:
        case bytes():
            yield encode_head(_BYTES, len(plain))
            yield plain
        case list():
            yield encode_head(_ARRAY, len(plain))
            for element in plain:
                yield from _pieces(element)
        case dict():
            yield encode_head(_MAP, len(plain))
            for key, element in plain.items():
                yield from _pieces(key)
                yield from _pieces(element)
        case cbor2.CBORTag():
            yield encode_head(_TAG, plain.tag)
            yield from _pieces(plain.value)
        case _:
            yield cbor2.dumps(plain)


def _plain(value: object, order: KeyOrder) -> object:  # noqa: PLR0911 one return for each type
    """Give what cbor2 encodes to the right bytes: bytes, int, bool, None, list, dict, CBORTag."""
    match value:
        case bytes() | bool() | None:
            return value
        case int():
            if not -_LARGEST - 1 <= value <= _LARGEST:
                message = "an integer of more than 64 bits cannot be sent"
                raise UnencodableError(message)
            return value
        case str():
            return _encoded_text(value)
        case RawBytes():
            return value.data
        case dict():
            return _plain_map(value, order)
        case list() | tuple():
            return [_plain(element, order) for element in value]
        case set() | frozenset():
            return _plain_set(value, order)
        case _:
            return _plain_other(value, order)


def _plain_other(value: object, order: KeyOrder) -> object:
    """Do the same for types that are rare and slow to ask for."""
    match value:
        case bytearray() | memoryview():
            return bytes(value)
        case Mapping():
            return _plain_map(value, order)
        case AbstractSet():
            return _plain_set(value, order)
        case Sequence():
            return [_plain(element, order) for element in value]
        case _:
            message = f"a value of type {type(value).__name__} cannot be sent"
            raise UnencodableError(message)


def _plain_map(value: Mapping[Any, object], order: KeyOrder) -> dict[bytes, object]:
    keys = {}
    for key in value:
        plain = _encoded_text(key) if isinstance(key, str) else key
        if not isinstance(plain, bytes):
            message = f"a map key of type {type(key).__name__} cannot be sent"
            raise UnencodableError(message)
        if plain in keys:
            message = "a map holds the same key as bytes and as text"
            raise UnencodableError(message)
        keys[plain] = key
    ordered = sorted(keys)
    if order is KeyOrder.CANONICAL:
        ordered.sort(key=len)
    return {key: _plain(value[keys[key]], order) for key in ordered}


def _encoded_text(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        message = "a text with a surrogate in it cannot be sent"
        raise UnencodableError(message) from None


def _plain_set(value: AbstractSet[Any], order: KeyOrder) -> cbor2.CBORTag:
    elements: list[Any] = [_plain(element, order) for element in value]
    try:
        elements.sort()
    except TypeError:
        message = "the elements of a set must be of one type"
        raise UnencodableError(message) from None
    return cbor2.CBORTag(_SET_TAG, elements)


# --- in --------------------------------------------------------------------------------------


class _Head(NamedTuple):
    """The head of an item, as read."""

    data: bytes | bytearray
    start: int
    end: int
    """Offset just behind the head."""
    info: int
    number: int
    """Value, length or count; `_ENDLESS` if indefinite."""


class ItemScanner:
    """Finds the end of one CBOR item and refuses what the dialect does not accept.

    It reads heads only and goes on where it stopped when more bytes have come, so an item of any
    size costs one pass, however it was cut.
    """

    __slots__ = ("_elements", "_limits", "_open", "_position", "_strict", "_tags", "_texts")

    def __init__(
        self, rules: CborRules, limits: Limits, *, start: int = 0, elements: int = 0
    ) -> None:
        """Scan one item.

        Args:
            rules: What the dialect accepts.
            limits: Depth and element count.
            start: Offset of the item's first byte in what is scanned.
            elements: Seen in items before it that count against the same limit.
        """
        self._strict = rules.strict
        self._limits = limits
        self._position = start
        self._elements = elements
        self._open: list[int] = [1]
        """Items still to come in each open container; `_ENDLESS` for indefinite ones, and for
        indefinite strings the major type of their parts, negated."""
        self._texts: list[int] = []
        self._tags: list[tuple[int, int]] = []

    @property
    def elements(self) -> int:
        """Items seen so far, containers included."""
        return self._elements

    def scan(self, data: bytes | bytearray) -> int | None:  # noqa: C901, PLR0912 a call less per item
        """Give the offset just behind the item, or None while it is incomplete.

        Args:
            data: All bytes so far; what was scanned before is not looked at again.

        Raises:
            CborError: The item is not accepted; the text names why.
        """
        position, size, pending = self._position, len(data), self._open
        while pending:
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
                number = int.from_bytes(data[position + 1 : after], "big")
            elif info == _INDEFINITE:
                number = _ENDLESS
            else:
                message = f"additional information {info} is reserved"
                raise CborError(message)
            if major == _TAG and after >= size:
                break
            if major in (_BYTES, _TEXT) and number != _ENDLESS:
                if after + number > size:
                    if major == _TEXT and self._strict:
                        self._refuse_text()
                    break
                end = after + number
            else:
                end = after
            self._count(major, info)
            if major > _BYTES or number == _ENDLESS:
                _ACCEPT[major](self, _Head(data, position, after, info, number))
            position = end
        self._position = position
        return None if pending else position

    def _count(self, major: int, info: int) -> None:
        """Account for one item in its container and in the limit."""
        if major == _SPECIAL and info == _INDEFINITE:
            return
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
        self._enter(-_BYTES)

    def _accept_text(self, head: _Head) -> None:
        if self._strict:
            self._refuse_text()
        self._texts.append(head.start)
        if head.number == _ENDLESS:
            self._enter(-_TEXT)

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
        if head.number > self._limits.cbor_elements:
            self._refuse_elements()
        self._enter(head.number * items_per_entry)

    def _accept_special(self, head: _Head) -> None:
        if head.info == _INDEFINITE:
            if self._open[-1] >= 0:
                message = "break outside of an indefinite item"
                raise CborError(message)
            self._open[-1] = 0
        elif self._strict and head.info not in {_FALSE, _TRUE, _NULL}:
            message = f"special type {head.info} not allowed"
            raise CborError(message)

    def _accept_tag(self, head: _Head) -> None:
        if head.number == _ENDLESS:
            message = "a tag cannot have indefinite length"
            raise CborError(message)
        is_set = head.number == _SET_TAG
        if self._strict and not is_set:
            message = f"semantic tag {head.number} not allowed"
            raise CborError(message)
        holds_array = head.data[head.end] >> 5 == _ARRAY
        if self._strict and not holds_array:
            message = "expected array after finite set semantic tag"
            raise CborError(message)
        if not (is_set and holds_array):
            self._tags.append((head.start, head.end))
        self._enter(1)

    def _enter(self, count: int) -> None:
        if len(self._open) > self._limits.cbor_depth:
            message = (
                f"containers inside each other exceed the limit of {self._limits.cbor_depth} "
                "(cbor_depth)"
            )
            raise CborError(message)
        self._open.append(count)

    def _refuse_elements(self) -> None:
        message = f"items exceed the limit of {self._limits.cbor_elements} (cbor_elements)"
        raise CborError(message)

    def _refuse_text(self) -> None:
        message = "string major type not supported"
        raise CborError(message)

    def decode(self, item: bytes) -> object:
        """Decode the item whose end was found; ``item`` is exactly its bytes.

        Raises:
            CborError: It is well formed in its heads but not in its content.
        """
        if self._texts or self._tags:
            item = self._rewritten(item)
        try:
            return cbor2.loads(item, strict_hashable_types=self._elements > _UNHASHED_ELEMENTS)
        except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
            raise CborError(str(error)) from None

    def _rewritten(self, item: bytes) -> bytes:
        """Turn text heads into byte string heads and leave out the tags."""
        rewritten = bytearray(item)
        for position in self._texts:
            rewritten[position] ^= (_TEXT ^ _BYTES) << 5
        kept = []
        position = 0
        for start, end in self._tags:
            kept.append(rewritten[position:start])
            position = end
        kept.append(rewritten[position:])
        return b"".join(kept)


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
"""What to do with a head, by its major type; whole integers and byte strings need nothing."""


class ItemReader:
    """Reads consecutive CBOR items from bytes that arrive in any cuts."""

    def __init__(self, rules: CborRules, limits: Limits) -> None:
        """Read items that keep to ``rules`` and ``limits``."""
        self._rules = rules
        self._limits = limits
        self._buffer = bytearray()
        self._scanner = ItemScanner(rules, limits)

    @property
    def held(self) -> int:
        """Bytes of the incomplete item."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> list[object]:
        """Give the items that ``data`` completes.

        Raises:
            CborError: An item is not accepted; the reader must not be used again.
        """
        self._buffer += data
        values: list[object] = []
        while self._buffer:
            end = self._scanner.scan(self._buffer)
            if end is None:
                break
            values.append(self._scanner.decode(bytes(self._buffer[:end])))
            del self._buffer[:end]
            self._scanner = ItemScanner(self._rules, self._limits)
        return values


def decode_first(data: bytes, rules: CborRules, limits: Limits) -> object:
    """Decode the first item and ignore what follows it.

    Raises:
        CborError: There is no whole item, or it is not accepted.
    """
    scanner = ItemScanner(rules, limits)
    end = scanner.scan(data)
    if end is None:
        raise CborError(_incomplete(data))
    return scanner.decode(data[:end])


def decode_leading(data: bytes, rules: CborRules, limits: Limits) -> object:
    """Decode the first of consecutive items that fill ``data`` exactly.

    Those behind it are only looked at, and count against the limit of elements with it.

    Raises:
        CborError: One is incomplete or not accepted, or there is none.
    """
    scanner = ItemScanner(rules, limits)
    end = scanner.scan(data)
    if end is None:
        raise CborError(_incomplete(data))
    value = scanner.decode(data[:end])
    while end < len(data):
        scanner = ItemScanner(rules, limits, start=end, elements=scanner.elements)
        end = scanner.scan(data)
        if end is None:
            raise CborError(_incomplete(data))
    return value


def _incomplete(data: bytes) -> str:
    return "the CBOR item is incomplete" if data else "the CBOR item is missing"
