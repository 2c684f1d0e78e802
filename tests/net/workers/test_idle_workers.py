"""Which idle worker is used next, and which have waited too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from wiredaemon.net.workers.idle_workers import IdleWorkers

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor

FIRST, SECOND, THIRD = "first", "second", "third"
SECONDS: Final = 60.0


class Waiting:
    """Idle workers, and those that have waited too long, in order."""

    def __init__(self, reactor: FakeReactor) -> None:
        self.late: list[object] = []
        on_idle_long: Any = self.late.append
        self.idle: Any = IdleWorkers(reactor, SECONDS, on_idle_long)


@pytest.fixture
def waiting(reactor: FakeReactor) -> Waiting:
    return Waiting(reactor)


def test_the_worker_that_was_used_last_is_used_next(waiting: Waiting) -> None:
    for worker in (FIRST, SECOND, THIRD):
        waiting.idle.add(worker)
    assert waiting.idle.take() == THIRD
    waiting.idle.remove(SECOND)
    waiting.idle.remove(SECOND)
    assert waiting.idle.take() == FIRST
    with pytest.raises(KeyError):
        waiting.idle.take()


def test_each_worker_is_named_once_it_has_waited_long_enough(
    reactor: FakeReactor, waiting: Waiting
) -> None:
    waiting.idle.add(FIRST)
    reactor.advance(20)
    waiting.idle.add(SECOND)
    reactor.advance(39)
    assert waiting.late == []
    reactor.advance(1)
    assert waiting.late == [FIRST]
    waiting.idle.remove(FIRST)
    reactor.advance(19)
    assert waiting.late == [FIRST]
    reactor.advance(1)
    assert waiting.late == [FIRST, SECOND]


def test_a_worker_that_was_used_meanwhile_waits_anew(
    reactor: FakeReactor, waiting: Waiting
) -> None:
    waiting.idle.add(FIRST)
    reactor.advance(59)
    waiting.idle.add(waiting.idle.take())
    reactor.advance(59)
    assert waiting.late == []
    reactor.advance(1)
    assert waiting.late == [FIRST]


def test_a_worker_that_is_kept_is_named_again_after_the_same_time(
    reactor: FakeReactor, waiting: Waiting
) -> None:
    waiting.idle.add(FIRST)
    for count in range(1, 4):
        reactor.advance(60)
        assert waiting.late == [FIRST] * count


def test_no_timer_runs_while_nothing_waits_or_after_the_end(
    reactor: FakeReactor, waiting: Waiting
) -> None:
    waiting.idle.add(FIRST)
    waiting.idle.take()
    reactor.advance(60)
    assert reactor.getDelayedCalls() == []
    waiting.idle.add(FIRST)
    waiting.idle.stop()
    assert reactor.getDelayedCalls() == []
