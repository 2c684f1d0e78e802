"""The lines that a worker prints, as they are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from wiredaemon.net.workers.error_output import ErrorOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture
def logged() -> Iterator[list[str]]:
    texts: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("wiredaemon.net.workers.error_output"):
            texts.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield texts
    globalLogPublisher.removeObserver(observe)


def test_lines_are_logged_as_soon_as_they_end_in_any_cuts(logged: list[str]) -> None:
    output = ErrorOutput(7)
    for part in (b"fir", b"st\nsecond\r\nthi", b"rd"):
        output.receive_data(part)
    first, second = "repository worker 7: first", "repository worker 7: second"
    assert logged == [first, second]
    output.receive_end()
    output.receive_end()
    assert logged == [first, second, "repository worker 7: third"]


def test_what_is_no_utf_8_is_shown_with_its_octets(logged: list[str]) -> None:
    ErrorOutput(7).receive_data("caf\u00e9 ".encode() + b"\xff\n")
    assert logged == ["repository worker 7: caf\u00e9 \\xff"]


def test_a_line_that_does_not_end_is_logged_once_it_is_too_long(logged: list[str]) -> None:
    output = ErrorOutput(7)
    output.receive_data(b"x" * 16384)
    assert logged == []
    output.receive_data(b"x")
    assert logged == ["repository worker 7: " + "x" * 16385]
    output.receive_end()
    assert len(logged) == 1


def test_the_last_line_that_is_not_empty_is_kept() -> None:
    output = ErrorOutput(7)
    output.receive_data(b"why it ended\n\n")
    output.receive_end()
    assert output.last_line == "why it ended"
