r"""Literals of a script: the inside of Python's bytes literals, and Python's literals.

Source: client-tool, sections 2.2 and 2.3.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, cast

from wiredaemon.debugtool.errors import ScriptError

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value

_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.|\Z)", re.DOTALL)
_NAMED: Final = {
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\n": b"",
}


def unescape(text: bytes) -> bytes:
    r"""Return the bytes that a text means as the inside of a Python bytes literal.

    Other escapes than Python's stay as they are, with their backslash.

    Raises:
        ScriptError: An ``\x`` without two digits, or a backslash at the end.
    """
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[bytes]) -> bytes:
    letters = found[1]
    if not letters:
        raise ScriptError("a backslash at the end of a line escapes nothing")
    if letters == b"x":
        raise ScriptError(f"invalid \\x escape at position {found.start()}")
    if letters.startswith(b"x"):
        return bytes([int(letters[1:], 16)])
    if letters[:1].isdigit() and letters[:1] < b"8":
        return bytes([int(letters, 8) & 0xFF])
    return _NAMED.get(letters, found[0])


def literal(text: bytes) -> Value:
    """Return the value of a Python literal: bytes, numbers, lists, dicts, sets, True, False, None.

    Raises:
        ScriptError: It is no literal.
    """
    # As Latin-1, so that bytes literals may hold any byte, and each stands for itself.
    shown = text.decode("latin-1")
    try:
        # Its values may still be of a type that cannot be sent: the encoder knows which.
        return cast("Value", ast.literal_eval(shown.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ScriptError(f"not a Python literal: {shown} ({error})") from None
