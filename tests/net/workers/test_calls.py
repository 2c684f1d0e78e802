"""What becomes of a command that nobody waits for any more, and of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from support.fake_workers import BUFFER, PIECE, Reader, ask, result
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Permission

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, Ready, Start

_case: Final = SynchronousTestCase()


def test_a_call_that_is_cancelled_while_it_waits_is_never_made(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start()
    answer = ask(pool)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].asked == []


def test_the_worker_of_a_cancelled_read_is_stopped_after_a_grace(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_read_grace=2.0)
    answer = ask(pool)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    reactor.advance(1.5)
    assert worker.signals == []
    reactor.advance(0.5)
    assert worker.signals == ["KILL"]
    worker.exit(9)
    assert len(reactor.workers) == 2


def test_a_cancelled_read_that_ends_in_time_keeps_its_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready()
    answer = ask(pool)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    worker.answer(b"late")
    ask(pool)
    reactor.advance(10.0)
    assert worker.signals == []


def test_a_cancelled_write_goes_on_and_holds_its_worker(reactor: FakeReactor, ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    answer = ask(pool, b"pushkey", Permission.RW)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    waiting = ask(pool)
    reactor.advance(600.0)
    assert (worker.signals, worker.asked) == ([], [b"pushkey"])
    worker.answer([True, b""])
    assert worker.asked == [b"pushkey", b"heads"]
    worker.answer(b"served")
    assert result(waiting) == b"served"


def test_a_stream_is_given_as_soon_as_a_worker_begins_and_then_piece_by_piece(
    reactor: FakeReactor, start: Start
) -> None:
    reader = Reader(start())
    _case.assertNoResult(reader.opened)
    (worker,) = reactor.workers
    worker.become_ready()
    reading = reader.reading()
    _case.assertNoResult(reading)
    worker.say(b"one", b"two")
    assert _case.successResultOf(reading) == [b"one"]
    assert reader.take() == b"two"
    worker.end()
    assert reader.take() == b""


def test_a_stream_that_is_cancelled_while_it_waits_is_never_begun(
    reactor: FakeReactor, start: Start
) -> None:
    reader = Reader(start())
    reader.opened.cancel()
    _case.failureResultOf(reader.opened, CancelledError)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].asked == []


def test_the_worker_of_a_read_whose_reader_left_is_stopped_after_a_grace(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_read_grace=2.0, worker_stream_buffer=BUFFER)
    reader = Reader(pool)
    worker.fill()
    reader.stream.close()
    assert worker.output.is_read, "it may be done soon"
    reactor.advance(1.5)
    assert worker.signals == []
    reactor.advance(0.5)
    assert worker.signals == ["KILL"]


def test_a_read_that_ends_within_the_grace_keeps_its_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready()
    reader = Reader(pool)
    worker.say(PIECE)
    reader.stream.close()
    worker.say(PIECE)
    worker.end()
    Reader(pool)
    reactor.advance(10.0)
    assert worker.signals == []


def test_a_write_whose_reader_left_goes_on_and_holds_its_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1, worker_stream_buffer=BUFFER)
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    reader.stream.send_data(b"bundle", end=True)
    reader.stream.close()
    reactor.advance(600.0)
    assert (worker.signals, worker.input_closed, worker.data) == ([], False, b"bundle")
    waiting = Reader(pool)
    assert not waiting.opened.called
    worker.say(*[PIECE] * 10)
    assert worker.output.is_read
    worker.end()
    assert waiting.opened.called
