"""The reactor's clock goes on as it did, whatever happens to the time of day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.selectreactor import SelectReactor

from wiredaemon.daemon.steady_clock import use_steady_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR = 3600.0


class SetClock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.moved = 0.0

    def __call__(self) -> float:
        return time.monotonic() + 1e9 + self.moved


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A reactor of its own, whose clock can be set."""
    made: Any = SelectReactor()
    made.seconds = SetClock()
    yield made
    made.removeAll()
    for reader in made._internalReaders:
        reader.connectionLost(None)


def called_at(reactor: Any, delay: float) -> Callable[[], bool]:
    """Return what says whether a call with a delay was made."""
    made: list[float] = []
    reactor.callLater(delay, made.append, delay)
    return lambda: bool(made)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_calls_wait_as_long_as_they_would_whoever_sets_the_clock(reactor: Any, jump: float) -> None:
    clock = reactor.seconds
    early, late = called_at(reactor, 0.01), called_at(reactor, HOUR / 2)
    use_steady_clock(reactor)
    also_early, also_late = called_at(reactor, 0.01), called_at(reactor, HOUR / 2)
    clock.moved = jump
    while not (early() and also_early()):
        reactor.iterate(1)
    assert (late(), also_late()) == (False, False)
    times = sorted(call.getTime() - reactor.seconds() for call in reactor.getDelayedCalls())
    assert times == pytest.approx([HOUR / 2, HOUR / 2], abs=10)


def test_a_second_time_changes_nothing(reactor: Any) -> None:
    use_steady_clock(reactor)
    (late,) = (reactor.callLater(HOUR, lambda: None),)
    before = late.getTime()
    use_steady_clock(reactor)
    assert late.getTime() == before
    assert abs(reactor.seconds() - time.monotonic()) < 1
