"""Ctrl-C in scripts: raised as Python does it, where signals of other threads cannot be sent."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from wiredaemon.client.blocking_loop import BlockingLoop

_WAITED = 10
"""Milliseconds without anything that happens."""


def interrupt_poll(loop: BlockingLoop) -> None:
    """Raise Ctrl-C in a loop as soon as it waits and nothing happens."""
    loop._poll = _InterruptedPoll(loop)  # type: ignore[assignment]


class _InterruptedPoll:
    """Takes the place of a loop's poll, until it has been interrupted."""

    def __init__(self, loop: BlockingLoop) -> None:
        self._loop = loop
        self._poll = loop._poll
        self.register = self._poll.register
        self.unregister = self._poll.unregister

    def poll(self, milliseconds: int) -> list[tuple[int, int]]:
        ready = self._poll.poll(min(milliseconds, _WAITED))
        if milliseconds == 0 or ready:
            return ready
        self._loop._poll = self._poll
        raise KeyboardInterrupt


class Moment:
    """Whether a moment has come."""

    has_come = False


@contextmanager
def interrupted_at(number: int) -> Iterator[Moment]:
    """Raise Ctrl-C at one of the moments at which Python calls a signal's handler.

    Those are the beginnings of functions, and the ends of those that are written in C. The first of
    the client's has the number 1.
    """
    left = number
    moment = Moment()

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal left
        if event in {"call", "c_return"} and "wiredaemon/client" in frame.f_code.co_filename:
            left -= 1
            # Python takes no exception out of these two.
            if left <= 0 and frame.f_code.co_name not in {"__del__", "drop", "<genexpr>"}:
                sys.setprofile(None)
                moment.has_come = True
                raise KeyboardInterrupt

    sys.setprofile(note)
    try:
        yield moment
    finally:
        sys.setprofile(None)
