"""The end of the daemon: in order, in time, whatever still runs.

Twisted itself ends a process when its threads have ended, however long they take.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_SECONDS: Final = 13.0
"""Seconds after the time for requests in which workers and threads must have ended; then the
process ends all the same. Workers take at most 10."""
_EXIT_CODE: Final = 70
"""EX_SOFTWARE of `sysexits`: something did not end that should have."""

_log: Final = Logger()


def handle_impatience(reactor: Any, hurry: Callable[[], object]) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Let a further SIGTERM or SIGINT break off what the first one waits for.

    Twisted's own handlers would log an error, for the reactor is stopping already.
    """

    def on_signal(*_: object) -> None:
        reactor.callFromThread(hurry)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


def end_in_time(seconds: float) -> None:
    """End this process after a time, if it has not ended by itself."""
    timer = threading.Timer(seconds, _end, [seconds])
    # It keeps no process alive itself.
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    _log.critical("the daemon has not ended in {seconds:g} s, and is ended now", seconds=seconds)
    os._exit(_EXIT_CODE)
