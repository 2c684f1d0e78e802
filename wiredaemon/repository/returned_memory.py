"""Returns freed memory to the system: the daemon and its workers do, some time behind a burst.

The C library keeps what was freed, in case it is asked for again. For a server that is most of
what it ever needed at once.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def return_memory() -> None:
    """Return what is free, where the C library can (glibc); it takes some ms for each GiB."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:  # noqa: ANN401 a function of the C library, or None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
