from __future__ import annotations

from typing import Any

from support.logs import observed, texts_of
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wiredaemon.net.guard.crash_log import CrashLog
from wiredaemon.net.repeated_lines import MOST_ALIKE, WINDOW_SECONDS

MANY = 20


def crash(text: str) -> Failure:
    try:
        int(text)
    except ValueError:
        return Failure()
    raise AssertionError


def test_crashes_of_one_place_are_counted_whatever_their_text() -> None:
    clock: Any = Clock()
    crashes = CrashLog(clock)
    with observed("wiredaemon.net.guard") as events:
        for number in range(MANY):
            crashes.log(crash(f"name {number}"), "seek", "10.0.0.1:5")
        assert len(events) == MOST_ALIKE
        clock.advance(WINDOW_SECONDS)
    assert len(events) == MOST_ALIKE + 1
    last = texts_of(events)[-1]
    assert f"repeated {MANY - MOST_ALIKE} times: command seek failed: ValueError at " in last


def test_logins_that_crash_are_counted_too_and_stopping_leaves_no_timer() -> None:
    clock: Any = Clock()
    crashes = CrashLog(clock)
    with observed("wiredaemon.net.guard") as events:
        for number in range(MANY):
            crashes.log_login(crash(f"name {number}"), "'ann'")
        assert texts_of(events) == ["the login of 'ann' could not be checked"] * MOST_ALIKE
        crashes.stop()
    last = texts_of(events)[-1]
    assert f"repeated {MANY - MOST_ALIKE} times: a login could not be checked: Value" in last
    assert clock.getDelayedCalls() == []


def test_an_exception_without_a_traceback_is_logged() -> None:
    clock: Any = Clock()
    with observed("wiredaemon.net.guard") as events:
        CrashLog(clock).log(Failure(LookupError("x")), "seek", "10.0.0.1:5")
    assert texts_of(events) == ["command seek failed for 10.0.0.1:5"]
