from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.accounts.check_queue import CheckQueue
from wiredaemon.accounts.login import LoginBusyError


class Checks:
    """Starts of checks, by name, each of which a test ends."""

    def __init__(self, most: int) -> None:
        self.queue = CheckQueue(most, Clock().seconds)
        self.started: list[str] = []
        self.running: dict[str, Deferred[None]] = {}

    def add(self, name: str, *, is_known: bool = False) -> None:
        def start() -> Deferred[None]:
            self.started.append(name)
            self.running[name] = Deferred()
            return self.running[name]

        self.queue.add(start, is_known=is_known)

    def end(self, name: str) -> None:
        self.running.pop(name).callback(None)


def test_as_many_run_as_there_are_threads_and_the_others_have_their_turn() -> None:
    checks = Checks(5)
    for name in "abcd":
        checks.add(name)
    assert checks.started == ["a", "b"]
    checks.end("b")
    assert checks.started == ["a", "b", "c"]
    checks.end("a")
    assert checks.started == ["a", "b", "c", "d"]


def test_known_users_have_their_turn_first_and_places_of_their_own() -> None:
    checks = Checks(1)
    for name in "abc":
        checks.add(name)
    with pytest.raises(LoginBusyError):
        checks.add("d")
    checks.add("ann", is_known=True)
    with pytest.raises(LoginBusyError):
        checks.add("bob", is_known=True)
    checks.end("a")
    checks.end("ann")
    assert checks.started == ["a", "b", "ann", "c"]


def test_busy_names_limit_and_value_and_says_when_to_come_back() -> None:
    checks = Checks(0)
    for name in "ab":
        checks.add(name)
    with pytest.raises(
        LoginBusyError, match="more logins than 0 would wait; try again in 1 s"
    ) as caught:
        checks.add("c")
    assert caught.value.retry_after == 1.0


def test_a_start_that_has_become_needless_gives_its_turn_to_the_next() -> None:
    checks = Checks(5)
    for name in "ab":
        checks.add(name)
    checks.queue.add(lambda: None, is_known=False)
    checks.add("c")
    checks.end("a")
    assert checks.started == ["a", "b", "c"]


def test_a_start_that_is_taken_back_leaves_its_place() -> None:
    checks = Checks(1)
    for name in "ab":
        checks.add(name)

    def never() -> None:
        checks.started.append("never")

    checks.queue.add(never, is_known=False)
    checks.queue.discard(never)
    checks.add("c")
    checks.end("a")
    assert checks.started == ["a", "b", "c"]


def test_a_check_that_fails_gives_its_turn_to_the_next() -> None:
    checks = Checks(5)
    for name in "abc":
        checks.add(name)
    checks.running["a"].errback(ValueError())
    assert checks.started == ["a", "b", "c"]
