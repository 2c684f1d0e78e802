"""Log lines whose text or number a peer decides: short, and counted where they repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall


class Reactor(Protocol):
    """The part of a reactor that counting needs."""

    def callLater(self, delay: float, action: Callable[..., object], /) -> IDelayedCall:
        """See ``IReactorTime``."""

    def seconds(self) -> float:
        """See ``IReactorTime``."""


LONGEST: Final = 500
"""Characters of a line that are logged: more than any message needs, less than a head can hold."""

WINDOW_SECONDS: Final = 60.0
"""Seconds between two lines: an attack must not fill the disk with its own log."""

MOST_ALIKE: Final = 5
"""Lines with the same text in one window that are logged; the others are counted."""

_MOST_TEXTS: Final = 500
"""Different texts in one window that are counted apart, a few hundred KiB; others are counted as
one."""

_OTHERS: Final = "further lines, each with another text"


def shortened(text: str) -> str:
    """Return a text as it may be logged: without its middle where it is long."""
    if len(text) <= LONGEST:
        return text
    left = len(text) - LONGEST
    return f"{text[: LONGEST // 2]}... ({left} characters left out) ...{text[-LONGEST // 2 :]}"


class RepeatedLines:
    """Logs lines, and how often those came that it did not log.

    Args:
        reactor: The reactor, for the timer; there is none while nothing was left out.
        write: Logs a line.
        most: Lines with the same text in one window that are logged.
    """

    def __init__(
        self, reactor: Reactor, write: Callable[[str], object], *, most: int = MOST_ALIKE
    ) -> None:
        self._reactor = reactor
        self._write = write
        self._most = most
        self._counts: dict[str, int] = {}
        self._began = 0.0
        self._timer: IDelayedCall | None = None

    def is_new(self, text: str) -> bool:
        """Count a text, and return whether it should be logged."""
        now = self._reactor.seconds()
        if now - self._began >= WINDOW_SECONDS and self._timer is None:
            self._counts.clear()
            self._began = now
        if text not in self._counts and len(self._counts) >= _MOST_TEXTS:
            text = _OTHERS
        count = self._counts[text] = self._counts.get(text, 0) + 1
        if count <= self._most:
            return True
        if self._timer is None:
            left = self._began + WINDOW_SECONDS - now
            self._timer = self._reactor.callLater(left, self._report)
        return False

    def log(self, text: str) -> None:
        """Log a text, shortened, unless it came often enough in this window."""
        shown = shortened(text)
        if self.is_new(shown):
            self._write(shown)

    def stop(self) -> None:
        """Log now what was counted, and leave no timer; lines after it are counted anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._report()

    def _report(self) -> None:
        self._timer = None
        counts, self._counts = self._counts, {}
        self._began = self._reactor.seconds()
        for text, count in counts.items():
            if count > self._most:
                self._write(f"repeated {count - self._most} times: {text}")


class CountedLine:
    """Says when a line is due. The first event has one, and the first one a minute after it."""

    __slots__ = ("_at", "_count")

    def __init__(self) -> None:
        self._at: float | None = None
        """The time of the last line."""
        self._count = 0
        """Events since then."""

    def count(self, now: float) -> int:
        """Count an event at a time in seconds.

        Returns:
            The events since the last line, this one included, if it is to be logged; else 0.
        """
        self._count += 1
        if self._at is not None and now - self._at < WINDOW_SECONDS:
            return 0
        self._at = now
        count, self._count = self._count, 0
        return count
