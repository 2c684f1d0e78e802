"""Commands that take too long, and those whose workers die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.fake_workers import PIECE, Reader, ask, error, result

from wiredaemon.commands import Permission
from wiredaemon.net.workers.process import END_SECONDS, ENDED_TOO_EARLY

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, FakeWorker, Ready

RO, RW = Permission.RO, Permission.RW
READ_LATE = "the command took longer than 10 s (read_seconds)"
WRITE_LATE = "the command took longer than 100 s (write_seconds)"


def pass_time(reactor: FakeReactor, seconds: int) -> None:
    for _ in range(seconds):
        reactor.advance(1)


# --- deadlines ----------------------------------------------------------------------------------


@pytest.fixture
def limited(ready: Ready) -> Ready:
    def start(**more: object) -> object:
        return ready(read_seconds=10.0, write_seconds=100.0, worker_processes=1, **more)

    return start  # type: ignore[return-value]


def test_a_read_that_takes_too_long_is_stopped_and_says_why(
    reactor: FakeReactor, limited: Ready
) -> None:
    pool, worker = limited()
    answer = ask(pool)
    pass_time(reactor, 10)
    assert worker.signals == []
    pass_time(reactor, 1)
    assert worker.signals == ["KILL"]
    worker.exit(9)
    assert error(answer) == READ_LATE


def test_a_stream_must_begin_and_go_on_in_time(reactor: FakeReactor, limited: Ready) -> None:
    pool, worker = limited()
    reader = Reader(pool)
    for _ in range(5):
        pass_time(reactor, 9)
        worker.say(PIECE)
        assert reader.take() == PIECE
    pass_time(reactor, 9)
    assert worker.signals == []
    pass_time(reactor, 2)
    assert worker.signals == ["KILL"]
    worker.exit(9)
    assert error(reader.reading()) == READ_LATE
    reader.stream.close()


def test_the_time_in_which_a_reader_takes_nothing_does_not_count(
    reactor: FakeReactor, limited: Ready
) -> None:
    pool, worker = limited(worker_stream_buffer=3000, worker_spool=0)
    reader = Reader(pool)
    worker.fill()
    pass_time(reactor, 50)
    assert worker.signals == []
    reader.take()
    pass_time(reactor, 12)
    assert worker.signals == ["KILL"]


def test_a_write_may_take_longer_and_is_asked_to_end_first(
    reactor: FakeReactor, limited: Ready
) -> None:
    pool, worker = limited()
    answer = ask(pool, b"pushkey", RW)
    pass_time(reactor, 100)
    assert worker.signals == []
    pass_time(reactor, 1)
    assert worker.signals == ["TERM"]
    pass_time(reactor, int(END_SECONDS))
    assert worker.signals == ["TERM", "KILL"]
    worker.exit(9)
    assert error(answer) == WRITE_LATE


def test_what_is_answered_in_time_leaves_nothing_behind(
    reactor: FakeReactor, limited: Ready
) -> None:
    pool, worker = limited(worker_idle_seconds=1e9)
    for number in range(30):
        answer = ask(pool)
        pass_time(reactor, 1)
        worker.answer(number)
        assert result(answer) == number
    assert worker.signals == []


# --- deaths -------------------------------------------------------------------------------------


def died(reactor: FakeReactor, worker: FakeWorker) -> FakeWorker:
    """Let a worker die of itself, and return the one that takes its place."""
    worker.exit(11)
    reactor.make_ready()
    return reactor.workers[-1]


def test_a_read_whose_worker_dies_is_run_once_more(reactor: FakeReactor, ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    first, behind = ask(pool), ask(pool, b"known")
    worker = died(reactor, worker)
    assert not first.called
    worker.answer(b"answered")
    assert result(first) == b"answered"
    worker.answer(b"in its turn")
    assert result(behind) == b"in its turn"
    assert worker.asked == [b"heads", b"known"]


def test_a_second_death_is_its_answer(reactor: FakeReactor, ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    answer = ask(pool)
    died(reactor, worker).exit(11)
    assert error(answer) == ENDED_TOO_EARLY


def test_a_write_is_never_run_again(ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    answer, stream = ask(pool, b"pushkey", RW), Reader(pool, permission=RW)
    worker.exit(11)
    assert error(answer) == ENDED_TOO_EARLY
    assert not stream.opened.called


def test_a_stream_of_which_nothing_was_read_begins_anew(reactor: FakeReactor, ready: Ready) -> None:
    pool, worker = ready(worker_processes=1, worker_stream_buffer=3000)
    reader = Reader(pool)
    reading = reader.reading()
    worker = died(reactor, worker)
    assert not reading.called
    worker.say(b"whole")
    assert result(reading) == [b"whole"]
    worker.end()
    assert reader.take_all() == b""
    reader.stream.close()


def test_pieces_that_nobody_has_read_are_not_mixed_with_those_of_the_next_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1, worker_stream_buffer=3000)
    reader = Reader(pool)
    worker.fill()
    worker = died(reactor, worker)
    worker.say(b"one", b"two")
    worker.end()
    assert reader.take_all() == b"onetwo"
    reader.stream.close()


def test_a_stream_that_was_read_or_has_data_is_not_run_again(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1)
    read = Reader(pool)
    worker.say(PIECE)
    assert read.take() == PIECE
    worker = died(reactor, worker)
    assert error(read.reading()) == ENDED_TOO_EARLY
    read.stream.close()
    with_data = Reader(pool, has_data=True)
    worker.exit(11)
    assert error(with_data.reading()) == ENDED_TOO_EARLY
    with_data.stream.close()


def test_a_reader_that_leaves_before_the_second_worker_is_ready_is_forgotten(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1)
    reader = Reader(pool)
    reader.opened.addCallback(lambda stream: stream)
    stream = reader.stream
    worker.exit(11)
    stream.close()
    reactor.make_ready()
    assert reactor.workers[-1].asked == []


def test_a_command_whose_worker_is_stopped_on_purpose_is_not_run_again(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1)
    answer = ask(pool)
    worker.protocol.kill("for a reason")
    worker.exit(9)
    reactor.make_ready()
    assert error(answer) == "for a reason"
    assert reactor.workers[-1].asked == []
