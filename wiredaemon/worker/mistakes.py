"""Requests of version 1, and for pages, that hgweb cannot understand: their mistakes are answered.

hgweb lets the errors of Python that a malformed argument raises reach the server. Which kinds those
are is decided here, and that none of them comes from a hook.
"""

from __future__ import annotations

import binascii
import struct
import sys
import traceback
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wiredaemon.worker.library import error

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Final[Mapping[type[Exception], bytes]] = MappingProxyType(
    {
        error.RepoLookupError: b"there is no such revision",
        error.LookupError: b"there is no such revision",
        RecursionError: b"it is nested too deeply",
        KeyError: b"an argument is missing",
        IndexError: b"an argument is incomplete",
        UnicodeError: b"an argument has bytes that it cannot have",
        binascii.Error: b"an argument is not hexadecimal",
        struct.error: b"the data is malformed",
        error.UnknownVersion: b"its data has an unknown version",
        OverflowError: b"a number is too large",
        error.InputError: b"an argument has a value that it cannot have",
        ValueError: b"an argument has a value that it cannot have",
    }
)
"""Errors that a request causes, the narrower ones first, and what is wrong with it."""

_FRAMES: Final = 100
"""Functions that are looked at, the innermost ones."""

_HOOKS: Final = "mercurial/hook.py"
"""The module through which all hooks are called."""


def mistake_in(failure: Exception) -> bytes | None:
    """Return what is wrong with the request that raised, one line; None if it is not its fault.

    The place of the error is logged, in one line: it may be a fault of ours after all.
    """
    reason = next((text for kind, text in _KINDS.items() if isinstance(failure, kind)), None)
    frames = traceback.extract_tb(failure.__traceback__, limit=-_FRAMES)
    if reason is None or any(frame.filename.endswith(_HOOKS) for frame in frames):
        return None
    place = frames[-1]
    sys.stderr.write(
        f"a request is refused: {type(failure).__name__} in {place.name} "
        f"({place.filename}:{place.lineno})\n"
    )
    return b"the request cannot be understood: %s" % reason
