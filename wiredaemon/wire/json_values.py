"""JSON in both directions: what stands for which value of the wire.

| value | in JSON |
|---|---|
| byte string | its text, where it is UTF-8 |
| any other byte string | ``{"hex": "00ff"}`` |
| set | an array |
| key of a map | its text; ``hex:00ff`` where it is no UTF-8, or begins with ``hex:`` itself |

What is written so is read as the same value, except that sets become lists, and keys that are no
byte strings become texts.

Source: RFC 8259; RFC 7493.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.wire.values import RawBytes, order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.wire.values import Value

HEX: Final = "hex"
"""The only key of an object that stands for bytes."""
HEX_KEY: Final = "hex:"
"""Stands in front of a key in hexadecimal."""
_HEXADECIMAL: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_NOT_EXACT: Final = 1 << 53
"""The first number that not every reader of floats tells from the next one (RFC 7493)."""
_BITS: Final = 64
"""Bits of CBOR's numbers, besides their sign."""
_MOST_DIGITS: Final = 20
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "))


class JsonError(ValueError):
    """A text is no JSON, or has no value on the wire; the message says what is wrong."""


# --- reading -------------------------------------------------------------------------------------


def parse_json(text: bytes | bytearray | memoryview) -> object:
    """Return what JSON in UTF-8 says.

    Raises:
        JsonError: It is no JSON; or it says what one reader takes for this and another for that:
            keys that are given twice, and numbers that are none or have more than 64 bits.
    """
    # A hook for each number would take half of the time.
    decoder = _WARY if _LONG_NUMBER.search(text) else _DECODER
    try:
        said: object = decoder.decode(str(text, "utf-8"))
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise JsonError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise JsonError(str(error)) from None
    return said


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    # Which of them counts would be a guess.
    if len(made) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise JsonError(f"the key {key} is given twice")
    return made


def _integer(digits: str) -> int:
    # Thousands of digits take Python long to convert.
    if len(digits.removeprefix("-")) > _MOST_DIGITS:
        raise JsonError(f"the number {digits[:_MOST_DIGITS]}... has more than {_BITS} bits")
    return int(digits)


def _no_number(name: str) -> float:
    raise JsonError(f"{name} is no number of JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
_WARY: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number, parse_int=_integer
)
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % (_MOST_DIGITS + 1))
"""Digits that may be a number of more than 64 bits, or just in a string."""


def utf8(text: str) -> bytes:
    """Return the bytes that a string stands for.

    Raises:
        JsonError: It has halves of characters, which JSON can escape and UTF-8 cannot have.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonError("a string has half of a character") from None


def key_of(text: str, read: Callable[[str], bytes] = utf8) -> bytes:
    """Return the key of a map that a key of an object stands for.

    Raises:
        JsonError: It is none.
    """
    if not text.startswith(HEX_KEY):
        return read(text)
    # Without digits it would be one more way to write the empty key.
    if text == HEX_KEY:
        raise JsonError(f"{text} is not hexadecimal")
    return bytes_of(text.removeprefix(HEX_KEY))


def bytes_of(digits: str) -> bytes:
    """Return bytes that are written in hexadecimal.

    Raises:
        JsonError: They are not.
    """
    if not _HEXADECIMAL.fullmatch(digits):
        raise JsonError(f"{digits} is not hexadecimal")
    return bytes.fromhex(digits)


def value_of(said: object, read: Callable[[str], bytes] = utf8) -> Value:
    """Return the value that JSON stands for.

    Args:
        said: As `parse_json` returned it.
        read: Returns the bytes of a string.

    Raises:
        JsonError: The wire has no such value.
    """
    try:
        return _value(said, read)
    except RecursionError:
        raise JsonError("it is nested too deeply") from None


def _value(said: Any, read: Callable[[str], bytes]) -> Value:  # noqa: ANN401 what JSON says
    # By exact types, the commonest first: there may be many thousands.
    kind = type(said)
    if kind is str:
        return read(said)
    if kind is list:
        return [_value(one, read) for one in said]
    if kind is dict:
        return _bytes_or_map(said, read)
    return said if said is None or kind is bool else whole_number(said)


def _bytes_or_map(said: dict[str, Any], read: Callable[[str], bytes]) -> Value:
    if len(said) != 1 or HEX not in said:
        return map_of(said, lambda one: _value(one, read), read)
    if not isinstance(said[HEX], str):
        raise JsonError("hex must have digits in a string")
    return bytes_of(said[HEX])


def map_of(
    said: dict[str, Any], value: Callable[[Any], Value], read: Callable[[str], bytes] = utf8
) -> dict[bytes, Value]:
    """Return the map that an object stands for, with each value by ``value``.

    Raises:
        JsonError: A key is none, or two are the same.
    """
    made = {key_of(key, read): value(one) for key, one in said.items()}
    if len(made) != len(said):
        raise JsonError("the same key is given twice, once in hexadecimal")
    return made


def whole_number(number: float) -> int:
    """Return the integer that a number is; JSON has no other kind of number than ``1.0``.

    Raises:
        JsonError: It has a fraction, or more than 64 bits, or is a float that stands for several.
    """
    if not math.isfinite(number):
        raise JsonError("a number is too large")
    whole = int(number)
    # 0006 has no floats (framing, section 5.4).
    if whole != number:
        raise JsonError(f"the protocol has no number like {number}")
    if not -(1 << _BITS) <= whole < 1 << _BITS:
        raise JsonError(f"the number {number} has more than {_BITS} bits")
    # It may have been another one: a reader of floats takes 9007199254740993.0 for its neighbour.
    if type(number) is float and abs(whole) >= _NOT_EXACT:
        raise JsonError(f"the number {number} is not exact: write it without point and exponent")
    return whole


# --- writing -------------------------------------------------------------------------------------


def json_line(value: object) -> bytes:
    """Return a value as one line of JSON in UTF-8."""
    return write_json(jsonable(value)) + b"\n"


def write_json(shown: object) -> bytes:
    """Return what JSON can write as JSON in UTF-8, without a line break."""
    return _ENCODER.encode(shown).encode("utf-8")


def jsonable(value: object) -> object:
    """Return what JSON can write of a value."""
    # First, because most values are some, or have many inside.
    if type(value) is bytes:
        text = _text(value)
        return {HEX: value.hex()} if text is None else text
    match value:
        case RawBytes(data=data):
            return jsonable(data)
        case dict():
            shown = {_json_key(key): jsonable(element) for key, element in value.items()}
            # Else it would be read as bytes.
            return {f"{HEX_KEY}{HEX.encode().hex()}": shown[HEX]} if [*shown] == [HEX] else shown
        case list() | tuple():
            return [jsonable(element) for element in value]
        case set() | frozenset():
            return [jsonable(element) for element in sorted(value, key=order)]
        case _:
            return value


def _json_key(key: object) -> str:
    if not isinstance(key, bytes):
        return str(key)
    text = _text(key)
    return f"{HEX_KEY}{key.hex()}" if text is None or text.startswith(HEX_KEY) else text


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
