"""Starts that fail, and workers that die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from support.fake_workers import ask, error, result
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Permission
from wiredaemon.net.workers.pool import CANNOT_START
from wiredaemon.net.workers.process import ENDED_TOO_EARLY
from wiredaemon.net.workers.restarts import Restarts

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, Ready, Start

_case: Final = SynchronousTestCase()


def test_a_start_that_fails_is_tried_again_later_and_later(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start()
    waiting = ask(pool)
    reactor.workers[0].exit(1)
    for number, delay in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0], 1):
        assert len(reactor.workers) == number
        reactor.advance(delay - 0.25)
        assert len(reactor.workers) == number
        reactor.advance(0.25)
        assert len(reactor.workers) == number + 1
        assert waiting.called is (number > 1), "one that failed may have been killed"
        reactor.workers[-1].exit(1)
    assert error(waiting) == CANNOT_START
    assert error(ask(pool)) == CANNOT_START
    reactor.advance(30.0)
    served = ask(pool)
    reactor.workers[-1].become_ready()
    reactor.workers[-1].answer(b"served")
    assert result(served) == b"served"
    # What is counted in a row has begun anew; what is counted for metrics has not.
    restarts = pool.restarts
    assert (restarts.failed_starts, restarts.all_failed_starts) == (0, 9)
    assert (restarts.all_starts, restarts.all_deaths) == (1, 0)


def test_a_process_that_the_system_refuses_is_a_start_that_failed(
    reactor: FakeReactor, start: Start
) -> None:
    reactor.refusal = OSError(11, "Resource temporarily unavailable")
    pool = start()
    refused = ask(pool)
    assert not refused.called
    reactor.advance(0.5)
    assert error(refused) == CANNOT_START
    assert error(ask(pool)) == CANNOT_START
    reactor.refusal = None
    reactor.advance(1.0)
    served = ask(pool)
    reactor.workers[0].become_ready()
    reactor.workers[0].answer(b"served")
    assert result(served) == b"served"


def test_one_more_worker_that_cannot_start_leaves_the_queue_to_the_others(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, _ = ready()
    first, second = ask(pool), ask(pool)
    reactor.workers[1].exit(1)
    assert not second.called
    reactor.workers[0].answer(b"first")
    reactor.workers[0].answer(b"second")
    assert (result(first), result(second)) == (b"first", b"second")


def test_a_first_death_is_replaced_at_once_and_the_next_ones_later(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, _ = ready(worker_processes=1)
    answer = ask(pool, permission=Permission.RW)
    reactor.workers[0].exit(11)
    assert error(answer) == ENDED_TOO_EARLY
    assert len(reactor.workers) == 2
    reactor.workers[1].become_ready()
    answer = ask(pool, permission=Permission.RW)
    reactor.workers[1].exit(11)
    assert error(answer) == ENDED_TOO_EARLY
    waiting = ask(pool)
    assert len(reactor.workers) == 2
    reactor.advance(1.0)
    reactor.workers[2].become_ready()
    reactor.workers[2].answer(b"served")
    assert result(waiting) == b"served"
    assert (pool.restarts.all_starts, pool.restarts.all_deaths) == (3, 2)


def test_a_pool_stops_while_its_worker_starts_and_while_it_waits_to_try_again(
    reactor: FakeReactor, start: Start
) -> None:
    first = start()
    stopped = first.stop()
    reactor.workers[0].exit()
    _case.successResultOf(stopped)
    second = start()
    reactor.workers[1].exit(1)
    _case.successResultOf(second.stop())
    assert reactor.getDelayedCalls() == []


def state_of(restarts: Restarts) -> tuple[bool, bool]:
    return restarts.must_wait, restarts.have_failed


def test_a_delay_doubles_until_the_longest_and_a_success_resets_it(reactor: FakeReactor) -> None:
    restarts = Restarts(reactor, lambda: None)
    assert [restarts.start_failed() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    for _ in range(2000):
        restarts.start_failed()
    assert restarts.start_failed() == 30
    restarts.start_succeeded()
    assert restarts.start_failed() == 0.5


def test_one_failure_is_no_reason_to_give_up_and_none_is_while_nothing_is_delayed(
    reactor: FakeReactor,
) -> None:
    tries: list[float] = []
    restarts = Restarts(reactor, lambda: tries.append(reactor.seconds()))
    restarts.start_failed()
    assert state_of(restarts) == (True, False)
    reactor.advance(0.5)
    assert state_of(restarts) == (False, False)
    restarts.start_failed()
    assert state_of(restarts) == (True, True)
    reactor.advance(1.0)
    assert tries == [0.5, 1.5]
    assert state_of(restarts) == (False, False)


def test_the_first_death_delays_nothing_and_an_answer_makes_the_next_one_a_first(
    reactor: FakeReactor,
) -> None:
    restarts = Restarts(reactor, lambda: None)
    waits = []
    for step in (restarts.worker_died, restarts.command_answered, restarts.worker_died):
        step()
        waits.append(restarts.must_wait)
    assert waits == [False, False, False]
    restarts.worker_died()
    assert state_of(restarts) == (True, False)
    reactor.advance(1.0)
    assert state_of(restarts) == (False, False)


def test_a_delay_that_is_under_way_is_not_made_longer_and_can_be_stopped(
    reactor: FakeReactor,
) -> None:
    restarts = Restarts(reactor, lambda: None)
    restarts.start_failed()
    restarts.start_failed()
    reactor.advance(0.5)
    assert not restarts.must_wait
    restarts.start_failed()
    restarts.stop()
    assert reactor.getDelayedCalls() == []
