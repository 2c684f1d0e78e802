"""CBOR items of each era, encoded and decoded by ``cbor2``.

``cbor2`` accepts far more than the protocol does and has no option to refuse it, so the heads of
all items are scanned first (``cbor_heads``).

Source: framing, section 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

import cbor2

from wiredaemon.wire.cbor_content import Content, incomplete
from wiredaemon.wire.cbor_heads import (
    ARRAY,
    BYTES,
    MAP,
    SET_TAG,
    TAG,
    CborError,
    CborRules,
    ItemScanner,
    KeyOrder,
    encode_head,
)
from wiredaemon.wire.cbor_small import plain_size
from wiredaemon.wire.cbor_strings import SHORT_STRINGS, STRING_HEADS
from wiredaemon.wire.values import IndefiniteBytes, RawBytes, UnencodableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

# Major types 0 and 1 hold 64 bits; cbor2 would write anything larger as a tag, which the subset of
# framing, section 5.4, does not have.
_LARGEST: Final = (1 << 64) - 1

_SCALARS: Final = frozenset((bytes, bool, type(None)))
"""Types that are encoded as they are."""

# --- out -------------------------------------------------------------------------------------


def encode(value: Value, order: KeyOrder) -> bytes:
    """Encode one value with definite lengths, the shortest heads, and keys in the given order.

    Raises:
        UnencodableError: The value, or one inside it, has no form on the wire.
    """
    # Unwrapped here: the way through `_plain` takes 0.40 us for the same, this 0.09.
    if type(value) is RawBytes:
        value = value.data
    if type(value) is bytes:
        if len(value) < SHORT_STRINGS:
            # Most commands return a short string: cbor2 takes 0.16 us for it, this takes 0.06.
            return STRING_HEADS[len(value)] + value
        return cbor2.dumps(value)
    if type(value) is dict:
        return cbor2.dumps(_plain_map(value, order))
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
            yield encode_head(BYTES, len(part))
            yield part
        yield b"\xff"
        return
    # Made plain as a whole first: a value without a form on the wire must fail before its first
    # piece has been sent, if it can.
    yield from _pieces(_plain(value, order))


def _pieces(plain: object) -> Iterator[bytes]:
    match plain:
        case bytes():
            yield encode_head(BYTES, len(plain))
            yield plain
        case list():
            yield encode_head(ARRAY, len(plain))
            for element in plain:
                yield from _pieces(element)
        case dict():
            yield encode_head(MAP, len(plain))
            for key, element in plain.items():
                yield from _pieces(key)
                yield from _pieces(element)
        case cbor2.CBORTag():
            yield encode_head(TAG, plain.tag)
            yield from _pieces(plain.value)
        case _:
            yield cbor2.dumps(plain)


def _plain(value: object, order: KeyOrder) -> object:  # noqa: PLR0911 one return for each type
    """Return a value of the types that cbor2 encodes to the right bytes.

    They are bytes, int, bool, None, list, dict and CBORTag.
    """
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
            return [
                # Decided here for all but rare elements: a list of 100 nodes takes 2.8 us, with a
                # call for each 7.6.
                element
                if type(element) in _SCALARS
                or (type(element) is int and -_LARGEST <= element <= _LARGEST)
                else _plain_map(element, order)
                if type(element) is dict
                else _plain(element, order)
                for element in value
            ]
        case set() | frozenset():
            return _plain_set(value, order)
        case _:
            return _plain_other(value, order)


def _plain_other(value: object, order: KeyOrder) -> object:
    """Convert a value of a rare type, which the tests for abstract classes find slowly."""
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
            instead = ": send its text" if isinstance(value, float) else ""
            message = f"a value of type {type(value).__name__} cannot be sent{instead}"
            raise UnencodableError(message)


def _plain_map(value: Mapping[Any, object], order: KeyOrder) -> dict[bytes, object]:
    by_key = value if {*map(type, value)} == {bytes} else _with_plain_keys(value)
    # Sorted bytewise first: Python's sort is stable, so that keys of one length stay so.
    ordered = sorted(by_key)
    if order is KeyOrder.CANONICAL:
        ordered.sort(key=len)
    plain_map = {}
    for key in ordered:
        # Values in maps are mostly scalars or maps, which need no call of `_plain`.
        element = by_key[key]
        if type(element) is dict:
            element = _plain_map(element, order)
        elif type(element) not in _SCALARS and (
            type(element) is not int or not -_LARGEST <= element <= _LARGEST
        ):
            element = _plain(element, order)
        plain_map[key] = element
    return plain_map


def _with_plain_keys(value: Mapping[Any, object]) -> dict[bytes, object]:
    by_key = {}
    for key, element in value.items():
        plain = _encoded_text(key) if isinstance(key, str) else key
        if not isinstance(plain, bytes):
            raise UnencodableError(f"a map key of type {type(key).__name__} cannot be sent")
        if plain in by_key:
            raise UnencodableError("a map holds the same key as bytes and as text")
        by_key[plain] = element
    return by_key


def _encoded_text(text: str) -> bytes:
    try:
        # File names and command lines hold bytes that are no UTF-8 as surrogates; they leave as the
        # bytes that they were.
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        message = "a text with a surrogate in it cannot be sent"
        raise UnencodableError(message) from None


def _plain_set(value: AbstractSet[Any], order: KeyOrder) -> cbor2.CBORTag:
    elements: list[Any] = [
        element if type(element) is bytes else _plain(element, order) for element in value
    ]
    try:
        elements.sort()
    except TypeError:
        message = "the elements of a set must be of one type"
        raise UnencodableError(message) from None
    return cbor2.CBORTag(SET_TAG, elements)


# --- in --------------------------------------------------------------------------------------

_REFUSED: Final = (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError)
"""The exceptions of cbor2 for input that it refuses.

Its depth is set one lower than ours, because it does not count empty containers.
"""
_UNHASHED_ELEMENTS: Final = 256
"""The most items in an item that may have keys other than strings. 8,000 integers that collide take
cbor2 0.83 s; the time grows with the square of the number, so that 256 take 1 ms."""


class ItemReader:
    """Reads consecutive CBOR items from bytes, cut in any way."""

    def __init__(self, rules: CborRules, limits: Limits) -> None:
        """Read items that keep to ``rules`` and ``limits``."""
        self._rules = rules
        self._limits = limits
        self._buffer = bytearray()
        self._scanner = ItemScanner(rules, limits)

    @property
    def held(self) -> int:
        """The number of bytes of the incomplete item."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> list[object]:
        """Return the items that ``data`` completes.

        Raises:
            CborError: An item is not accepted; the reader must not be used again.
        """
        self._buffer += data
        values: list[object] = []
        while self._buffer:
            end = self._scanner.scan(self._buffer)
            if end is None:
                break
            values.append(_decode(self._scanner, bytes(self._buffer[:end])))
            if end == len(self._buffer):
                self._buffer = bytearray()  # one that was emptied would keep its memory
            else:
                del self._buffer[:end]
            self._scanner = ItemScanner(self._rules, self._limits)
        return values


def decode_first(data: bytes, rules: CborRules, limits: Limits) -> object:
    """Decode the first item and ignore what follows it.

    Raises:
        CborError: There is no whole item, or it is not accepted.
    """
    if plain_size(data) and limits.cbor_elements >= len(data) <= limits.cbor_containers:
        try:
            return cbor2.loads(data, max_depth=limits.cbor_depth - 1)
        except _REFUSED:
            pass  # the scan words the error
    content = Content(rules, limits, is_whole=False)
    content.receive_data(data)
    return decode_content(content)


def decode_leading(data: bytes, rules: CborRules, limits: Limits) -> object:
    """Decode the first of consecutive items that fill ``data`` exactly.

    The items after it are only scanned, and count against the limit of elements with it.

    Raises:
        CborError: An item is incomplete or not accepted, or there is none.
    """
    if data and limits.cbor_elements >= plain_size(data) == len(data) <= limits.cbor_containers:
        try:
            return cbor2.loads(data, max_depth=limits.cbor_depth - 1)
        except _REFUSED:
            pass  # the scan words the error
    content = Content(rules, limits, is_whole=True)
    content.receive_data(data)
    return decode_content(content)


def decode_all(data: bytes, rules: CborRules, limits: Limits) -> list[object]:
    """Decode consecutive items that fill ``data`` exactly; the limits are those of each item.

    Raises:
        CborError: An item is incomplete or not accepted.
    """
    # One plain item is the usual case, and costs a tenth of the calls of scanning it.
    if data and limits.cbor_elements >= plain_size(data) == len(data) <= limits.cbor_containers:
        try:
            return [cbor2.loads(data, max_depth=limits.cbor_depth - 1)]
        except _REFUSED:
            pass  # the scan words the error
    reader = ItemReader(rules, limits)
    values = reader.receive_data(data)
    if reader.held:
        raise incomplete(len(data))
    return values


def decode_content(content: Content) -> object:
    """Decode the first item of content that is complete.

    Raises:
        CborError: An item is incomplete or not accepted, or there is none.
    """
    return _decode(*content.take())


def _decode(scanner: ItemScanner, item: bytes | bytearray) -> object:
    """Decode the item whose end a scanner found.

    Raises:
        CborError: The heads of the item are well formed, but not its content.
    """
    # A strict decoder refuses keys other than strings, which small items may have. Python hashes
    # strings with a secret, but integers as they are, so that a peer can choose some that collide.
    # Only there: the strict decoder takes 1.1 times as long, and refuses the integer keys that 0003
    # to 0005 allow.
    strict = scanner.elements > _UNHASHED_ELEMENTS
    try:
        return cbor2.loads(scanner.rewritten(item), strict_hashable_types=strict)
    except _REFUSED as error:
        raise CborError(str(error)) from None
