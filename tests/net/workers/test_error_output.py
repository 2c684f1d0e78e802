"""The lines that a worker prints, as they are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.logs import observed, texts_of
from twisted.internet.task import Clock

from wiredaemon.net.repeated_lines import RepeatedLines, shortened
from wiredaemon.net.workers.error_output import ErrorOutput, log_repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    with observed("wiredaemon.net.workers.error_output") as events:
        yield events


def test_lines_are_logged_as_soon_as_they_end_in_any_cuts(logged: list[LogEvent]) -> None:
    output = ErrorOutput(7, RepeatedLines(Clock(), log_repeated))
    for part in (b"fir", b"st\nsecond\r\nthi", b"rd"):
        output.receive_data(part)
    first, second = "repository worker 7: first", "repository worker 7: second"
    assert texts_of(logged) == [first, second]
    output.receive_end()
    output.receive_end()
    assert texts_of(logged) == [first, second, "repository worker 7: third"]


def test_what_is_no_utf_8_is_shown_with_its_octets(logged: list[LogEvent]) -> None:
    ErrorOutput(7, RepeatedLines(Clock(), log_repeated)).receive_data(
        "caf\u00e9 ".encode() + b"\xff\n"
    )
    assert texts_of(logged) == ["repository worker 7: caf\u00e9 \\xff"]


def test_a_line_that_does_not_end_is_logged_once_it_is_too_long(logged: list[LogEvent]) -> None:
    output = ErrorOutput(7, RepeatedLines(Clock(), log_repeated))
    output.receive_data(b"x" * 16384)
    assert logged == []
    output.receive_data(b"x")
    assert texts_of(logged) == ["repository worker 7: " + shortened("x" * 16385)]
    output.receive_end()
    assert len(logged) == 1


def test_the_last_line_that_is_not_empty_is_kept() -> None:
    output = ErrorOutput(7, RepeatedLines(Clock(), log_repeated))
    output.receive_data(b"why it ended\n\n")
    output.receive_end()
    assert output.last_line == "why it ended"
