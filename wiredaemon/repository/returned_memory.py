"""Returns freed memory to the system: the daemon and its workers do, some time after a burst.

The C library keeps what was freed, in case it is asked for again. For a server that is most of
what it ever needed at once.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

# Measured: bodies of 4 MiB, hundreds at once, made the daemon grow by 32 MiB, and by 12 with this.
# Reads of 256 KiB stay below it: to map and unmap the memory of each would take longer than they.
LARGE_BLOCK: Final = 512 * 1024
"""Bytes of a block that has memory of its own, which is the system's again when it is freed."""
# Measured: at twice a large block, uploads cost 2 % more, and attacks hold the same.
_KEPT_FREE: Final = 8 * LARGE_BLOCK
"""Free bytes at the end of the heap from which on they are returned."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENAS = -1, -3, -8
"""Names of settings in the C library (glibc, malloc.h)."""


def set_up_memory() -> None:
    """Let the C library (glibc) keep less of what was freed, from now on.

    Large blocks have memory of their own. By itself it does so only until the first of them is
    freed: later ones are cut out of what it keeps, in which they leave holes.

    Threads share one heap. By itself it makes one for each, up to eight for a processor, and what
    threads have read for hundreds of clients stays in there. They hardly ever wait for each other:
    nearly all that they ask for they ask for while they have the interpreter.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENAS, 1)
        set_option(_MMAP_THRESHOLD, LARGE_BLOCK)
        set_option(_TRIM_THRESHOLD, _KEPT_FREE)


def return_memory() -> None:
    """Return what is free, where the C library can (glibc); it takes some ms for each GiB."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:  # noqa: ANN401 a function of the C library, or None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
