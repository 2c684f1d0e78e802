from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.client.farewell import FAREWELL_SECONDS, closed_in_time


def test_it_is_over_when_the_connection_is_closed() -> None:
    clock, late = Clock(), list[str]()
    closed: Deferred[None] = Deferred()
    done = closed_in_time(closed, clock, lambda: late.append("late"))
    assert not done.called
    closed.callback(None)
    assert (done.called, late, clock.getDelayedCalls()) == (True, [], [])


def test_it_is_over_after_a_while_even_if_nobody_answers() -> None:
    clock, late = Clock(), list[str]()
    closed: Deferred[None] = Deferred()
    done = closed_in_time(closed, clock, lambda: late.append("late"))
    clock.advance(FAREWELL_SECONDS)
    assert (done.called, late) == (True, ["late"])
    closed.callback(None)


def test_a_connection_that_is_closed_already_is_not_waited_for() -> None:
    clock = Clock()
    closed: Deferred[None] = Deferred()
    closed.callback(None)
    assert closed_in_time(closed, clock, lambda: None).called
    assert clock.getDelayedCalls() == []
