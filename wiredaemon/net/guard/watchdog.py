"""Watches the reactor: a turn that takes long keeps all others waiting, and is logged.

How long each turn takes is measured where the reactor waits for events: exactly, and in less than
0.3 us. There each turn gets a bounded number of events as well. A thread looks at the turn that
goes on, and finds out where it is when it has taken too long: 20 looks a second take 0.15 % of a
processor. A turn inside of one call of C that keeps the interpreter to itself has no place.

Source: reliability, section 3.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.repeated_lines import CountedLine
from wiredaemon.net.twisted_internals import replace_poller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from wiredaemon.net.guard.turns import ReactorTurn

LONGEST: Final = 0.05
"""Seconds that a turn of the reactor may take."""
_LEAST: Final = 0.001
"""Seconds between two looks of the thread at the least; at the most as many as a turn may take."""
EVENTS: Final = 32
"""Events that one turn handles at the most: a handshake of TLS may take a millisecond."""
_OURS: Final = str(Path(__file__).parents[2])
"""The folder of this package."""
_UNKNOWN: Final = "an unknown place"


class Watchdog:
    """Counts the turns of the reactor that take too long.

    Args:
        reactor: The reactor of this thread. One that does not wait in a poller is not watched.
        current: Is told when each turn of the reactor begins.
        folder: The folder of the modules whose frames are shown.
        now: Tells the seconds.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        current: ReactorTurn,
        folder: str = _OURS,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._now = now
        self.count = 0
        """Turns that took too long."""
        self.longest = 0.0
        """Seconds that the longest turn took."""
        self._current = current
        self._place: tuple[float, str] | None = None
        """The beginning of a turn, and where it was when it had taken too long."""
        self._line = CountedLine()
        self._longest_since = 0.0
        self._stop: threading.Event | None = None

    def start(self) -> None:
        """Begin to watch; to be called in the reactor's thread, once twistd has forked."""
        if not replace_poller(self._reactor, lambda poller: _WatchedPoller(poller, self._wait)):
            return
        self._stop = threading.Event()
        watched = threading.get_ident()
        thread = threading.Thread(
            target=self._look, args=(watched, self._stop), name="watchdog", daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """Watch no more."""
        if self._stop is not None:
            replace_poller(self._reactor, lambda watched: watched.poller)
            self._stop.set()
            self._stop = None
            self._current.began = inf

    # --- in the reactor's thread -------------------------------------------------------------

    def _wait(self, poll: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 the poller's own
        """Wait for events: a turn ends, and the next one begins after it."""
        if len(args) > 1:  # epoll alone is told how many; what is left comes first the next time
            args = (args[0], min(args[1], EVENTS))
        current, now = self._current, self._now
        if now() - current.began > LONGEST:
            self._on_long(current.began, now())
        current.began = inf
        try:
            return poll(*args)
        finally:
            current.began = now()

    def _on_long(self, began: float, ended: float) -> None:
        seconds = ended - began
        self.count += 1
        self.longest = max(self.longest, seconds)
        self._longest_since = max(self._longest_since, seconds)
        count = self._line.count(ended)
        if not count:
            return
        place = self._place
        self._log.warn(
            "a turn of the reactor took {seconds:.0f} ms, in {place}; {count} took more than"
            " {most:.0f} ms since the last such line, the longest {longest:.0f} ms",
            seconds=seconds * 1000,
            place=place[1] if place is not None and place[0] == began else _UNKNOWN,
            count=count,
            most=LONGEST * 1000,
            longest=self._longest_since * 1000,
        )
        self._longest_since = 0.0

    # --- in a thread of its own --------------------------------------------------------------

    def _look(self, watched: int, stop: threading.Event) -> None:
        rest = LONGEST
        while True:
            # Not `stop.wait`, which takes twice as long.
            sleep(rest)
            if stop.is_set():
                return
            began, known, rest = self._current.began, self._place, LONGEST
            if began == inf:
                continue
            left = began + LONGEST - self._now()
            if left >= 0:
                # So that no turn which takes longer ends without a look at it.
                rest = max(left, _LEAST)
            elif known is None or known[0] != began:
                # Kept with its turn: it may be over by now, and another one go on.
                self._place = (began, self._place_of(sys._current_frames().get(watched)))  # noqa: SLF001 the only way

    def _place_of(self, frame: FrameType | None) -> str:
        """Return file, line and function of the innermost frame that is ours."""
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(self._folder) and code.co_filename != __file__:
                shown = code.co_filename[len(self._folder) + 1 :]
                return f"{shown}:{frame.f_lineno} {code.co_qualname}"
            frame = frame.f_back
        return _UNKNOWN


class _WatchedPoller:
    """A poller that waits through a function; all else is the poller's own."""

    def __init__(self, poller: Any, wait: Callable[..., Any]) -> None:  # noqa: ANN401 of many kinds
        self.poller = poller
        self.poll = partial(wait, poller.poll)
        # Not by `__getattr__`, which would take longer.
        for name in ("register", "modify", "unregister", "close", "fileno"):
            setattr(self, name, getattr(poller, name, None))
