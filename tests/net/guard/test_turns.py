from __future__ import annotations

from typing import Any

from support.logs import observed
from twisted.internet.task import Clock

from wiredaemon.net.guard.turns import Turns


def test_one_goes_on_in_each_turn_of_the_reactor_in_the_order_of_waiting() -> None:
    clock: Any = Clock()
    turns = Turns(clock)
    seen: list[str] = []

    def again() -> None:
        seen.append("a")
        if len(seen) < 3:
            turns.wait(again)

    turns.wait(again)
    turns.wait(lambda: seen.append("b"))
    assert seen == []
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert seen == ["a", "b", "a"]
    assert clock.getDelayedCalls() == []


def test_one_that_breaks_costs_nobody_else_a_turn() -> None:
    clock: Any = Clock()
    turns = Turns(clock)
    seen: list[str] = []
    turns.wait(lambda: 1 / 0)
    turns.wait(lambda: seen.append("b"))
    with observed("wiredaemon") as events:
        clock.pump([0, 0])
    assert (seen, len(events)) == (["b"], 1)
