"""The types of arguments: Python's types for them, and their texts in dialects that lack them.

The wire has neither texts nor, from 0006 on, floats (framing, section 5.4). A text travels as its
UTF-8 in a byte string. A float may come as one where a dialect has it (0003 to 0005), and in every
dialect as an integer or as its decimal text in a byte string.
"""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.wire.values import Value


class ArgumentType(Enum):
    """The types of arguments, named as capability descriptors name them."""

    BYTES = "bytes"
    INT = "int"
    LIST = "list"
    DICT = "dict"
    SET = "set"
    BOOL = "bool"
    FLOAT = "float"
    """A finite number; commands get a ``float``."""
    TEXT = "text"
    """A text in UTF-8; commands get a ``str``."""


PYTHON_TYPES: Final[Mapping[ArgumentType, tuple[type, ...]]] = {
    ArgumentType.BYTES: (bytes,),
    ArgumentType.INT: (int,),
    ArgumentType.LIST: (list,),
    ArgumentType.DICT: (dict,),
    # An array given for a set is accepted (commands, section 4.1).
    ArgumentType.SET: (set, frozenset, list),
    ArgumentType.BOOL: (bool,),
    ArgumentType.FLOAT: (float, int, bytes),
    ArgumentType.TEXT: (str, bytes),
}
"""The types that a value of each may have; the first one is what it is named by."""

EXAMPLES: Final[Mapping[ArgumentType, Callable[[], Value]]] = {
    ArgumentType.BYTES: bytes,
    ArgumentType.INT: int,
    ArgumentType.LIST: list,
    ArgumentType.DICT: dict,
    ArgumentType.SET: list,  # those dialects have no sets
    ArgumentType.BOOL: bool,
    ArgumentType.FLOAT: lambda: b"0.0",  # no dialect's encoder writes floats
    ArgumentType.TEXT: bytes,
}
"""What the descriptors of 0003 to 0005 show, an empty value of each type."""

CONTAINERS: Final = frozenset({ArgumentType.LIST, ArgumentType.SET, ArgumentType.DICT})
"""The types that may declare the type of their elements."""
CONVERTED: Final = frozenset({ArgumentType.SET, ArgumentType.FLOAT, ArgumentType.TEXT})
"""The types of which a command may get another value than was sent."""

_LONGEST_NUMBER: Final = 64
"""Bytes of a float's text: Python writes at most 24."""
_NUMBER: Final = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def as_float(value: float | bytes) -> float:
    """Return the float that a value stands for.

    Raises:
        ValueError: It is no finite number.
    """
    if isinstance(value, bytes):
        if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
            raise ValueError("it must be a decimal number")
        value = float(value)
    if not math.isfinite(value):
        raise ValueError("it must be finite")
    return float(value)


def as_text(value: str | bytes) -> str:
    """Return the text that a value stands for.

    Raises:
        ValueError: It is no UTF-8.
    """
    try:
        return value if isinstance(value, str) else value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it must be UTF-8") from None


def carried(value: Any) -> Any:  # noqa: ANN401 any value of an argument
    """Return a value as it can be sent: each float in it as its text."""
    match value:
        case float():
            return repr(value).encode("ascii")
        case list() | tuple():
            return [carried(element) for element in value]
        case set() | frozenset():
            return frozenset(map(carried, value))
        case dict():
            return {key: carried(element) for key, element in value.items()}
    return value


def _read_int(text: bytes) -> int:
    # Python alone would also take spaces, underscores and a plus sign.
    if not text.removeprefix(b"-").isdigit():
        raise ValueError
    return int(text)


TEXT_READERS: Final[Mapping[ArgumentType, Callable[[bytes], object]]] = {
    ArgumentType.BYTES: bytes,
    ArgumentType.INT: _read_int,
    ArgumentType.BOOL: {b"0": False, b"1": True}.__getitem__,
    ArgumentType.FLOAT: as_float,
    ArgumentType.TEXT: as_text,
}
"""Readers of the bytes of dialect 0002; types without one have no text form."""
