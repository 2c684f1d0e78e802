"""How many workers there are, and whether a long call takes one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.fake_workers import Reader, ask, result

from wiredaemon.commands import Permission
from wiredaemon.net.workers.staff import most_workers
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, FakeWorker, Start

    from wiredaemon.net.workers.pool import WorkerPool


def full(reactor: FakeReactor, start: Start) -> WorkerPool:
    """A pool of two workers, of which one streams and the other is idle."""
    pool = start(worker_least=2)
    reactor.make_ready()
    Reader(pool)
    return pool


def idle_of(reactor: FakeReactor) -> FakeWorker:
    (idle,) = (worker for worker in reactor.workers if not worker.asked)
    return idle


def test_two_workers_start_with_the_pool(reactor: FakeReactor, start: Start) -> None:
    start(worker_least=2)
    assert len(reactor.workers) == 2


@pytest.mark.parametrize(("least", "started"), [(0, 1), (1, 1), (3, 3), (9, 4)])
def test_as_many_start_as_are_wanted_and_may_be(
    reactor: FakeReactor, start: Start, least: int, started: int
) -> None:
    start(worker_least=least, worker_processes=4)
    assert len(reactor.workers) == started


def test_a_long_call_never_takes_the_last_worker_that_is_idle(
    reactor: FakeReactor, start: Start
) -> None:
    pool = full(reactor, start)
    idle = idle_of(reactor)
    for permission in (Permission.RO, Permission.RW):
        assert not Reader(pool, permission=permission).opened.called
    pushing = ask(pool, b"pushkey", Permission.RW)
    value = ask(pool)
    idle.answer(b"value")
    assert result(value) == b"value"
    assert not pushing.called


def test_what_waits_for_another_worker_begins_as_soon_as_that_is_ready(
    reactor: FakeReactor, start: Start
) -> None:
    pool = full(reactor, start)
    idle = idle_of(reactor)
    waiting = Reader(pool)
    assert len(reactor.workers) == 3
    reactor.make_ready()
    assert waiting.opened.called
    assert sum(not worker.asked for worker in reactor.workers) == 1
    assert idle in reactor.workers


def test_long_calls_in_any_number_leave_a_worker_that_is_ready(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(worker_least=2, worker_processes=8)
    for _ in range(20):
        Reader(pool)
        reactor.make_ready()
        assert any(not worker.asked for worker in reactor.workers)
    assert len(reactor.workers) == most_workers(Limits(worker_processes=8))


def test_the_only_worker_is_taken_and_a_spare_one_is_started(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start()
    reactor.make_ready()
    assert Reader(pool).opened.called
    assert len(reactor.workers) == 2


def test_what_a_dead_worker_leaves_waits_for_the_next_one(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(worker_least=2)
    reactor.make_ready()
    # As bombs do: two in a row, behind which the pool pauses before it starts another.
    for _ in range(2):
        reader = Reader(pool, permission=Permission.RW)
        running = next(each for each in reactor.workers if each.asked and not each.signals)
        running.signals.append("KILL")
        running.exit(1)
        assert reader.opened.called
        if len(reactor.workers) < 4:
            reactor.make_ready()
    waiting = Reader(pool)
    assert not waiting.opened.called
    value = ask(pool)
    idle = next(each for each in reactor.workers if each.asked == [b"heads"])
    idle.answer(b"value")
    assert result(value) == b"value"


def test_idle_workers_end_while_one_is_left_beside_those_that_are_busy(
    reactor: FakeReactor, start: Start
) -> None:
    pool = full(reactor, start)
    Reader(pool)
    reactor.make_ready()
    reactor.advance(600.0)
    assert not any(worker.input_closed for worker in reactor.workers)


def test_starts_that_fail_do_not_keep_a_long_call_from_the_last_worker(
    reactor: FakeReactor, start: Start
) -> None:
    reactor.refusal = None
    pool = start()
    reactor.make_ready()
    reactor.refusal = OSError("no more processes")
    assert Reader(pool).opened.called
    running = reactor.workers[0]
    running.end()
    assert Reader(pool).opened.called
