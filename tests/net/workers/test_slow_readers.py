"""Readers that hold a worker that others wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.fake_workers import BUFFER, PIECE, SLOW, Reader, ask, error
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Permission
from wiredaemon.net.workers.pool import NOT_RUNNING
from wiredaemon.net.workers.process import ENDED_TOO_EARLY

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, Ready, Start

_case: Final = SynchronousTestCase()


def test_a_slow_reader_makes_its_worker_wait_while_nobody_else_wants_it(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=2, worker_stream_buffer=BUFFER)
    reader = Reader(pool)
    worker.fill()
    reactor.advance(600.0)
    assert worker.signals == []
    assert not worker.output.is_read
    assert pool.spool_budget.used == 0
    assert reader.take() == PIECE * 3
    assert worker.output.is_read


@pytest.mark.parametrize("is_full_first", [True, False])
def test_a_slow_reader_is_spooled_as_soon_as_another_stream_waits(
    reactor: FakeReactor, ready: Ready, *, is_full_first: bool
) -> None:
    pool, worker = ready(worker_processes=2, worker_stream_buffer=BUFFER)
    slow = Reader(pool)
    reactor.make_ready()
    if is_full_first:
        worker.fill()
        other = Reader(pool)
    else:
        other = Reader(pool)
        worker.say(*[PIECE] * 4)
    assert worker.output.is_read
    worker.say(*[PIECE] * 100)
    worker.end()
    assert other.opened.called
    assert pool.spool_budget.used > 90_000
    worker = next(each for each in reversed(reactor.workers) if each.asked)
    worker.say(b"other's")
    worker.end()
    assert other.take_all() == b"other's"
    assert slow.take_all() == PIECE * (103 if is_full_first else 104)
    assert pool.spool_budget.used == 0


def test_streams_are_relieved_when_values_hold_the_other_workers(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(worker_processes=3, worker_stream_buffer=BUFFER)
    Reader(pool)
    reactor.workers[0].become_ready()
    reactor.workers[0].fill()
    for _ in range(2):
        ask(pool)
        reactor.make_ready()
    assert len(reactor.workers) == 3
    waiting = Reader(pool)
    assert not waiting.opened.called
    assert reactor.workers[0].output.is_read


def test_a_reader_that_hardly_reads_loses_its_worker_to_who_waits(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(**SLOW)
    slow = Reader(pool)
    reactor.workers[0].become_ready()
    reactor.workers[0].fill()
    reactor.advance(600.0)
    assert reactor.workers[0].signals == [], "nobody waits"
    waiting = Reader(pool)
    reactor.advance(59.0)
    assert reactor.workers[0].signals == []
    reactor.advance(1.0)
    assert reactor.workers[0].signals == ["KILL"]
    reactor.workers[0].exit(9)
    reactor.make_ready()
    assert waiting.opened.called
    assert slow.take() == PIECE * 3
    assert error(slow.reading()) == ENDED_TOO_EARLY


def test_a_reader_that_reads_fast_enough_keeps_its_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(**SLOW)
    reader = Reader(pool)
    worker.fill()
    Reader(pool)
    for _ in range(10):
        for _ in range(2):
            reader.take()
            worker.fill()
        reactor.advance(60.0)
    assert worker.signals == []
    reactor.advance(60.0)
    assert worker.signals == ["KILL"]


def test_a_reader_that_has_just_begun_is_not_called_slow(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(**SLOW | {"worker_processes": 3})
    Reader(pool, "ann")
    Reader(pool, "bob")
    reactor.make_ready()
    reactor.make_ready()
    first, second = (each for each in reactor.workers if each.asked)
    first.fill()
    Reader(pool, "eve")
    reactor.advance(59.0)
    second.say(PIECE)
    second.end()  # eve's begins here
    second.fill()
    Reader(pool, "joe")
    reactor.advance(1.0)
    assert (first.signals, second.signals) == (["KILL"], [])
    reactor.advance(60.0)
    assert second.signals == ["KILL"]


def test_a_write_keeps_its_worker_however_slowly_its_answer_is_read(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(**SLOW)
    Reader(pool, permission=Permission.RW)
    worker.fill()
    Reader(pool)
    reactor.advance(600.0)
    assert worker.signals == []


def test_a_pool_that_stops_refuses_streams_and_forgets_its_timers(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(**SLOW)
    running, waiting = Reader(pool), Reader(pool)
    reactor.make_ready()
    worker.fill()
    left = Reader(pool)
    left.opened.cancel()
    _case.failureResultOf(left.opened, CancelledError)
    stopped = pool.stop()
    assert error(waiting.opened) == NOT_RUNNING
    assert error(Reader(pool).opened) == NOT_RUNNING
    running.stream.close()
    for each in reactor.workers:
        each.exit()
    _case.successResultOf(stopped)
    assert reactor.getDelayedCalls() == []
