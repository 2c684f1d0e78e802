from __future__ import annotations

import threading
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest_twisted
from support.logs import observed, texts_of
from twisted.internet.defer import Deferred

from wiredaemon.net.guard.turns import ReactorTurn
from wiredaemon.net.guard.watchdog import EVENTS, Watchdog


class Poller:
    """A poller that takes as long as the test says, and has no more to do."""

    def __init__(self, clock: list[float]) -> None:
        self._clock = clock
        self.waits = 0.0

    def poll(self, *args: object) -> object:
        self._clock[0] += self.waits
        return args


class Reactor:
    def __init__(self, clock: list[float]) -> None:
        self._poller: Any = Poller(clock)

    def wait(self) -> object:
        return self._poller.poll(1, 2)


def test_turns_that_take_long_are_counted_and_one_line_a_minute_tells_of_them() -> None:
    clock = [0.0]
    reactor = Reactor(clock)
    poller = reactor._poller
    turn = ReactorTurn()
    watchdog = Watchdog(reactor, turn, now=lambda: clock[0])
    watchdog.start()
    with observed("wiredaemon") as events:
        # A turn each; what the reactor waits is none.
        for seconds in (0.04, 0.06, 0.08, 0.07, 60.0, 0.0):
            poller.waits = 100.0 if seconds == 0.04 else 0.0
            assert reactor.wait() == (1, 2)
            assert turn.began == clock[0]
            clock[0] += seconds
        reactor.wait()
    assert (watchdog.count, watchdog.longest) == (4, 60.0)
    lines = texts_of(events)
    assert [line.partition(", in ")[0] for line in lines] == [
        "a turn of the reactor took 60 ms",
        "a turn of the reactor took 60000 ms",
    ]
    assert "; 1 took more than 50 ms since the last such line, the longest 60 ms" in lines[0]
    assert "; 3 took more than 50 ms since the last such line, the longest 60000 ms" in lines[1]
    watchdog.stop()
    assert reactor._poller is poller
    assert turn.began == inf


def test_one_turn_handles_a_bounded_number_of_events() -> None:
    clock = [0.0]
    reactor = Reactor(clock)
    watchdog = Watchdog(reactor, ReactorTurn(), now=lambda: clock[0])
    watchdog.start()
    assert reactor._poller.poll(1, EVENTS + 1) == (1, EVENTS)
    assert reactor._poller.poll(1, EVENTS - 1) == (1, EVENTS - 1)
    assert reactor._poller.poll(1) == (1,)  # of `poll`, which is told the time alone
    watchdog.stop()


def test_a_reactor_without_a_poller_is_not_watched() -> None:
    watchdog = Watchdog(object(), ReactorTurn())
    watchdog.start()
    watchdog.stop()


def busy() -> None:
    end = perf_counter() + 0.3
    while perf_counter() < end:
        pass


def later(reactor: Any) -> Deferred[None]:
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    return turn


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # has no annotations
async def test_a_real_turn_is_logged_with_the_place_where_it_was() -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    watchdog = Watchdog(anywhere, ReactorTurn(), folder=str(Path(__file__).parent))
    watchdog.start()
    try:
        with observed("wiredaemon") as events:
            await later(anywhere)
            busy()
            await later(anywhere)
            await later(anywhere)
    finally:
        watchdog.stop()
    assert watchdog.count >= 1
    assert any(", in test_watchdog.py:" in line and " busy;" in line for line in texts_of(events))
    assert all(thread.name != "watchdog" or thread.daemon for thread in threading.enumerate())
