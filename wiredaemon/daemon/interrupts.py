"""Ctrl-C and SIGTERM in tools that start no process: this one ends at once, and says nothing.

Its connections are closed by the system, which has the server stop what was called. Nothing is
imported here but the standard library, so that this holds while all else is still being imported.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# 128 and the number of SIGINT, as shells report it.
INTERRUPTED: Final = 130
"""The exit status of a process that was interrupted."""
_STANDARD_ERROR: Final = 2


def end_at_signals() -> None:
    """End the process at SIGINT and SIGTERM from now on."""
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)


def leave_signals() -> None:
    """Undo `end_at_signals`: Python's own handlers are those that Twisted expects."""
    if signal.getsignal(signal.SIGINT) is not _end:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def raised_interrupts() -> Iterator[None]:
    """Raise a KeyboardInterrupt at SIGINT, where something has to be put back before the end."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not by an exception: the loop, a callback or Python's own end would report or delay it, and a
    # write to a pipe that nobody reads would go on.
    with suppress(OSError):
        if os.isatty(_STANDARD_ERROR):
            os.write(_STANDARD_ERROR, b"\n")  # after "^C" and a progress bar
    os._exit(INTERRUPTED)
