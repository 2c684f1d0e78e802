"""Lines that a peer can cause: their length and their number have bounds."""

from __future__ import annotations

from typing import Final

import pytest
from twisted.internet.task import Clock

from wiredaemon.net.repeated_lines import (
    LONGEST,
    MOST_ALIKE,
    WINDOW_SECONDS,
    CountedLine,
    RepeatedLines,
    shortened,
)

LINE: Final = "something failed"


class Logged:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.written: list[str] = []
        self.lines = RepeatedLines(self.clock, self.written.append)

    def take(self) -> list[str]:
        taken = self.written[:]
        self.written.clear()
        return taken


@pytest.fixture
def logged() -> Logged:
    return Logged()


def test_a_line_that_repeats_is_logged_some_times_and_then_counted(logged: Logged) -> None:
    for _ in range(1000):
        logged.lines.log(LINE)
    assert logged.take() == [LINE] * MOST_ALIKE
    logged.clock.advance(WINDOW_SECONDS)
    assert logged.take() == [f"repeated {1000 - MOST_ALIKE} times: {LINE}"]
    logged.lines.log(LINE)
    assert logged.take() == [LINE]


def test_lines_that_come_rarely_are_all_logged_without_a_timer(logged: Logged) -> None:
    for number in range(30):
        logged.lines.log(LINE)
        logged.lines.log(f"line {number}")
        logged.clock.advance(WINDOW_SECONDS / MOST_ALIKE)
    assert len(logged.take()) == 60
    assert not logged.clock.getDelayedCalls()


def test_any_number_of_different_lines_is_bounded(logged: Logged) -> None:
    for number in range(10_000):
        logged.lines.log(f"line {number}")
    assert len(logged.take()) == 500 + MOST_ALIKE
    logged.clock.advance(WINDOW_SECONDS)
    (said,) = logged.take()
    assert said == "repeated 9495 times: further lines, each with another text"


def test_stopping_reports_what_was_counted_and_leaves_no_timer(logged: Logged) -> None:
    logged.lines.stop()
    for _ in range(MOST_ALIKE + 2):
        logged.lines.log(LINE)
    logged.take()
    logged.lines.stop()
    assert logged.take() == [f"repeated 2 times: {LINE}"]
    assert logged.clock.getDelayedCalls() == []
    logged.lines.stop()
    assert logged.take() == []


def test_a_long_line_keeps_its_beginning_and_its_end() -> None:
    assert shortened("x" * LONGEST) == "x" * LONGEST
    short = shortened("begin" + "x" * 100_000 + "end")
    assert short.startswith("begin")
    assert short.endswith("end")
    assert "(99508 characters left out)" in short
    assert len(short) < LONGEST + 50


def test_the_first_event_has_a_line_and_those_of_the_next_minute_one_together() -> None:
    line = CountedLine()
    assert [line.count(at) for at in (5.0, 6.0, 4 + WINDOW_SECONDS)] == [1, 0, 0]
    assert line.count(5 + WINDOW_SECONDS) == 3
    assert line.count(6 + WINDOW_SECONDS) == 0
