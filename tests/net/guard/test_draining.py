from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.logs import observed
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from wiredaemon.net.guard.draining import Draining
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.guard.waits import Look, Wait
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.net.guard.waits import Expiry

PEER: Final = IPv4Address("TCP", "192.0.2.1", 5)


class Connection:
    """One that ends at a time, or when it is aborted."""

    def __init__(self, guard: ConnectionGuard, ends_at: float | None, *, is_lost: bool) -> None:
        self._guard = guard
        self._ends_at = ends_at
        self._is_lost = is_lost
        self.is_aborted = False
        guard.open(self, PEER)

    def look(self) -> Look:
        return Look(Wait.NOTHING)

    def expire(self, expiry: Expiry) -> None:
        raise AssertionError(expiry)

    def abort(self) -> None:
        self.is_aborted = True
        if self._is_lost:
            self._guard.close(self)

    def drain(self, now: float) -> None:
        if self._ends_at is None:
            raise ValueError("broken")
        if now >= self._ends_at:
            self._guard.close(self)


class Stop:
    """The end of some connections, on a clock."""

    def __init__(self, *ends_at: float | None, seconds: float = 30, is_lost: bool = True) -> None:
        self.clock = Clock()
        guard = ConnectionGuard(self.clock, Limits())
        self.connections = [Connection(guard, end, is_lost=is_lost) for end in ends_at]
        self.draining = Draining(guard, self.clock, seconds)
        self.ended_at: float | None = None
        self.draining.begin().addCallback(self._end)

    def _end(self, _: object) -> None:
        self.ended_at = self.clock.seconds()

    def wait(self, seconds: float) -> float | None:
        """The time at which all was over, if it is by now."""
        self.clock.pump([0.1] * round(seconds * 10))
        return self.ended_at

    @property
    def aborted(self) -> list[bool]:
        return [each.is_aborted for each in self.connections]


def test_without_connections_the_end_is_at_once() -> None:
    assert Stop().ended_at == 0


def test_connections_have_time_and_are_not_waited_for_longer_than_they_last() -> None:
    stop = Stop(0, 3, 7)
    assert stop.wait(6.9) is None
    assert stop.wait(0.2) == pytest.approx(7, abs=0.1)
    assert stop.aborted == [False, False, False]
    assert stop.clock.getDelayedCalls() == []


def test_what_is_left_behind_the_time_is_aborted() -> None:
    stop = Stop(1, 99)
    assert stop.wait(29.8) is None
    assert stop.aborted == [False, False]
    assert stop.wait(0.4) == pytest.approx(30, abs=0.2)
    assert stop.aborted == [False, True]


def test_an_aborted_connection_that_is_not_lost_is_not_waited_for() -> None:
    assert Stop(99, is_lost=False).wait(32) == pytest.approx(31, abs=0.3)


def test_no_time_at_all_aborts_at_once() -> None:
    stop = Stop(99, seconds=0)
    assert stop.aborted == [True]
    assert stop.wait(0.2) is not None


def test_a_second_signal_aborts_at_once_and_a_third_changes_nothing() -> None:
    stop = Stop(99)
    stop.wait(1)
    stop.draining.abort()
    stop.draining.abort()
    assert stop.aborted == [True]
    assert stop.wait(0.2) == pytest.approx(1.1, abs=0.1)
    stop.draining.abort()


def test_a_connection_that_cannot_be_ended_is_aborted_alone() -> None:
    with observed("wiredaemon.net.guard") as log:
        stop = Stop(None, 2)
        assert stop.wait(2.2) == pytest.approx(2, abs=0.1)
    assert stop.aborted == [True, False]
    assert len(log) == 1
