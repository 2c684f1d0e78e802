"""A time limit for each test, one that waits in the reactor included.

pytest-timeout measures the time; this module only says what happens when it is over. Its own way,
an exception raised from a signal handler, works for code that runs. pytest-twisted, however, runs
every test in a greenlet inside the reactor, and a coroutine that waits for a Deferred leaves the
reactor alone there: it logs the exception and goes on waiting. Then the failure is thrown where
pytest itself waits, in the parent greenlet, and the next test finds the reactor running.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent
from pytest_timeout import is_debugging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import pytest


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Start the timer of one test."""

    def expire(_: int, frame: FrameType | None) -> None:
        if not is_debugging():
            _fail(item, frame, settings.timeout)

    signal.signal(signal.SIGALRM, expire)
    # Again and again: what a test's double raises inside the reactor is only logged there.
    signal.setitimer(signal.ITIMER_REAL, settings.timeout, settings.timeout)
    return True


def pytest_timeout_cancel_timer() -> bool:
    """Stop the timer."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return True


class TimeLimitError(BaseException):
    """A test was not over in time. Hypothesis would try to find a smaller case of an Exception."""


@contextmanager
def unlimited() -> Iterator[None]:
    """Stop the timer of the current test: something is made that later runs find ready."""
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def _fail(item: pytest.Item, frame: FrameType | None, seconds: float) -> None:
    """Fail the running test.

    Raises:
        TimeLimitError: The test's own code is running, or pytest waits without a reactor.
        TimeoutError: The reactor is resumed, by a later test; it leaves what it was busy with.
    """
    outside = getcurrent().parent
    if outside is None or _runs(item, frame):
        raise TimeLimitError(f"the test was not over after {seconds} s")
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    waiting: Any = reactor
    text = (
        f"after {seconds} s the test still waited for the reactor, which has left"
        f"\n  readers: {waiting.getReaders()}\n  timed calls: {waiting.getDelayedCalls()}"
    )
    outside.throw(TimeLimitError(text))
    raise TimeoutError(f"{item.nodeid} has taken too long")


def _runs(item: pytest.Item, frame: FrameType | None) -> bool:
    """Return whether code of the test's module is running, or waits for a call that it made."""
    while frame is not None:
        if frame.f_code.co_filename == str(item.path):
            return True
        frame = frame.f_back
    return False
