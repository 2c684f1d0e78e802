"""Ends a worker with the daemon that started it, and with the worker the programs of its hooks.

The daemon may be killed without a chance to end anybody. So a worker looks after itself: the system
sends it SIGTERM then (Linux), and everywhere its input ends and its parent is another one. First it
is asked to end, which rolls back what it was writing; what is left of its group is killed.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Final

ROLL_BACK_SECONDS: Final = 5.0
"""Seconds between SIGTERM and SIGKILL, as long as the daemon itself would wait."""

_CHECK_SECONDS: Final = 0.2
"""Seconds between two looks at the parent, once the daemon has closed our input."""

_PR_SET_PDEATHSIG: Final = 1


class Lifeline:
    """The tie to the daemon.

    Args:
        source: The descriptor of our input, whose other end only the daemon holds.
    """

    def __init__(self, source: int) -> None:
        self._source = source
        self._parent = os.getppid()

    def start(self) -> None:
        """Become the leader of a group for all that hooks start, and end it with the daemon.

        Raises:
            SystemExit: The daemon has gone already.
        """
        with suppress(PermissionError):  # a leader already
            # A session rather than a group: no program of a hook waits for somebody at a terminal.
            os.setsid()
        _ask_for_signal()
        if os.getppid() != self._parent:
            raise SystemExit("the daemon has gone")
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def end(self) -> None:
        """Kill what hooks have left, and ourselves: to be called last, where we did not end freely.

        Whether the daemon has gone cannot be known: its threads end one by one, and the system
        signals us with the first.
        """
        _signal_group(signal.SIGKILL)

    @property
    def _is_cut(self) -> bool:
        """Whether the daemon has gone: its children have another parent now."""
        return os.getppid() != self._parent

    def _watch(self) -> None:
        poll = select.poll()
        # No events: only the end of the pipe wakes it, not what comes through.
        poll.register(self._source, 0)
        poll.poll()
        # A daemon that lives has closed our input and lets us end in our own time.
        while not self._is_cut:
            time.sleep(_CHECK_SECONDS)
        _signal_group(signal.SIGTERM)
        time.sleep(ROLL_BACK_SECONDS)
        _signal_group(signal.SIGKILL)


def _signal_group(number: signal.Signals) -> None:
    # Another one's group has members that are none of our business.
    if os.getpgrp() == os.getpid():
        os.killpg(0, number)


def _ask_for_signal() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
