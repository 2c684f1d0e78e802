"""What tools write to people beside their output: texts and progress, on standard error."""

from __future__ import annotations

import os
import time
import unicodedata
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from wiredaemon.daemon.call_output import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.protocol import ProgressReceived

# As Mercurial's own: faster, nobody could read it.
_PAUSE: Final = 0.1
"""Seconds between two pictures of a bar."""
_WIDTH: Final = 80
"""Columns of a terminal that does not say how wide it is."""
_WIDEST_BAR: Final = 30
_NARROWEST_BAR: Final = 6
# To the front of the line, and erase to its end (ECMA-48): the next line may be shorter.
_ERASE: Final = "\r\x1b[K"


class Terminal:
    """Observes a call: writes its text and progress to standard error."""

    def __init__(
        self, errors: TextIO, output: BinaryIO, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to standard error.

        Args:
            errors: Standard error; progress is a bar on a terminal, and lines elsewhere.
            output: Standard output, flushed before each write so that both come in order.
            now: A clock in seconds, so that a bar is not drawn more often than one can see.
        """
        self._errors = errors
        self._output = output
        self._now = now
        self.is_terminal = errors.isatty() and os.environ.get("TERM") != "dumb"
        """Progress is a bar, which overwrites itself."""
        self._shown: str | None = None
        """The topic of the bar that is there."""
        self._drawn = 0.0
        """When it was drawn."""

    def receive_text(self, text: bytes) -> None:
        """Write text for people."""
        self.clear()
        self._output.flush()
        self._errors.write(printable(text.decode("utf-8", "replace")))
        self._errors.flush()

    def receive_progress(self, progress: ProgressReceived) -> None:
        """Write progress, or that a topic has ended."""
        rest = [part for part in (progress.label, progress.item) if part]
        self.show(
            progress.topic.decode("utf-8", "replace"),
            progress.position,
            progress.total,
            b" ".join(rest).decode("utf-8", "replace"),
        )

    def show(self, topic: str, position: int, total: int | None, rest: str = "") -> None:
        """Write progress.

        Args:
            topic: What is counted.
            position: How many are done; negative ends the topic.
            total: How many there are, where that is known.
            rest: The unit, and what is worked on.
        """
        if position < 0:
            self.clear()
            return
        count = f"{position}" if total is None else f"{position}/{total}"
        topic, end = one_line(topic), one_line(f"{count} {rest}")
        if not self.is_terminal:
            self._errors.write(f"{topic}: {end}\n")
            self._errors.flush()
            return
        now = self._now()
        if topic == self._shown and now - self._drawn < _PAUSE:
            return
        self.clear()
        self._errors.write(_line(topic, position, total, end, self._width()))
        self._errors.flush()
        self._shown, self._drawn = topic, now

    def clear(self) -> None:
        """Erase the bar."""
        if self._shown is not None:
            self._errors.write(_ERASE)
            self._errors.flush()
            self._shown = None

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._errors.fileno()).columns or _WIDTH
        except (OSError, ValueError):
            return _WIDTH


def _line(topic: str, position: int, total: int | None, end: str, width: int) -> str:
    """Return one line of a terminal, with a bar if there is a total and room for it."""
    # The last column stays free: terminals go to the next line after it.
    room = width - 1
    space = min(room - _columns(topic) - _columns(end) - len(" [] "), _WIDEST_BAR)
    if not total or total < 0 or space < _NARROWEST_BAR:
        return _cut(f"{topic}: {end}", room)
    done = space * min(position, total) // total
    bar = ("=" * (done - 1) + ">" if 0 < done < space else "=" * done).ljust(space)
    return f"{topic} [{bar}] {end}"


def _columns(text: str) -> int:
    return sum(map(_column, text))


def _column(character: str) -> int:
    """Return how many columns a character takes; combining ones take none."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, room: int) -> str:
    for place, character in enumerate(text):
        room -= _column(character)
        if room < 0:
            return text[:place]
    return text
