from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.logs import observed, texts_of
from twisted.internet.task import Clock

from wiredaemon.accounts.failure_log import FailureLog, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    with observed("wiredaemon.accounts") as found:
        yield found


def test_the_first_failure_is_written_at_once_and_the_others_are_counted(
    events: list[LogEvent],
) -> None:
    clock = Clock()
    log = FailureLog(clock, 60.0, 10)
    for _ in range(5):
        log.fail("192.0.2.1", "'ann'")
    for _ in range(15):
        log.refuse("192.0.2.1", "'ann'")
    assert texts_of(events) == ["login of 'ann' from 192.0.2.1 failed"]
    clock.advance(60)
    assert texts_of(events)[1:] == [
        "more logins from 192.0.2.1 in the last 60 s: 4 failed, 15 were refused unseen"
    ]
    clock.advance(60)
    assert (len(events), clock.getDelayedCalls()) == (2, [])


def test_an_address_that_goes_on_gets_one_line_each_time(events: list[LogEvent]) -> None:
    clock = Clock()
    log = FailureLog(clock, 60.0, 10)
    for _ in range(5):
        log.fail("192.0.2.1", "'ann'")
        log.fail("192.0.2.1", "'ann'")
        clock.advance(60)
    assert len(events) == 1 + 5


def test_a_single_failure_is_a_single_line(events: list[LogEvent]) -> None:
    clock = Clock()
    log = FailureLog(clock, 60.0, 10)
    log.fail("192.0.2.1", "'ann'")
    clock.advance(60)
    assert (len(events), clock.getDelayedCalls()) == (1, [])


def test_a_refusal_at_an_address_without_failures_has_its_line(events: list[LogEvent]) -> None:
    FailureLog(Clock(), 60.0, 10).refuse("192.0.2.1", "'ann'")
    assert texts_of(events) == ["login of 'ann' from 192.0.2.1 was refused unseen"]


def test_addresses_beyond_the_limit_are_counted_together(events: list[LogEvent]) -> None:
    clock = Clock()
    log = FailureLog(clock, 60.0, 2)
    for number in range(1000):
        log.fail(f"192.0.2.{number}", "'ann'")
    clock.advance(60)
    assert texts_of(events)[2:] == [
        "more logins from other addresses in the last 60 s: 998 failed, 0 were refused unseen"
    ]


def test_many_busy_addresses_are_a_bounded_number_of_lines(events: list[LogEvent]) -> None:
    clock = Clock()
    log = FailureLog(clock, 60.0, 1000)
    for number in range(300):
        for _ in range(2):
            log.fail(f"192.0.2.{number}", "'ann'")
    before = len(events)
    clock.advance(60)
    assert len(events) - before == 101
    assert "200 failed" in texts_of(events)[-1]


def test_a_name_cannot_break_a_line_or_fill_the_log() -> None:
    assert name_of("a\nb\ud800") == r"'a\nb\ud800'"
    assert len(name_of("x" * 100_000)) < 80
