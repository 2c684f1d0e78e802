"""Results of version 2's commands as the tool shows them, and failures.

Source: client-tool, sections 3.6 and 3.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.values import generated, in_one_line, over_lines
from wiredaemon.wire.cbor import decode_first
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import ErrorForm
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.debugtool.eras import Era
    from wiredaemon.wire.dialects import Dialect

_SINGLE: Final = frozenset({b"branchmap", b"heads", b"listkeys", b"lookup"})
"""Commands that return one object, which is shown as it is."""
_PUSHKEY: Final = b"pushkey"
_KNOWN: Final = b"known"


def shown_result(era: Era, name: bytes, objects: Sequence[object]) -> str:
    """Return the text for a command's objects."""
    if not era.decodes:
        return in_one_line(list(objects))
    first = objects[0] if objects else None
    if name == _KNOWN and isinstance(first, bytes):
        return over_lines([one == ord("1") for one in first])
    if objects and name in {*_SINGLE, _PUSHKEY}:
        return over_lines(first)
    return generated(objects)


def failure(payload: bytes, dialect: Dialect) -> ToolError:
    """Return the error that an error frame says."""
    if dialect.error is ErrorForm.TEXT:
        return ToolError(payload.decode("utf-8", "backslashreplace"))
    try:
        value = decode_first(payload, dialect.cbor, Limits())
    except CborError as error:
        return ToolError(f"an error frame is no CBOR: {error}")
    message = value.get(b"message") if isinstance(value, dict) else value
    # As Python shows it, which is what Mercurial's tool does here.
    return ToolError(repr(message))
