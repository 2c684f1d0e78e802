"""Which worker runs which command, and how many workers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.fake_workers import BUFFER, PIECE, Reader, ask, error, result
from support.logs import observed, texts_of

from wiredaemon.commands import Permission
from wiredaemon.net.repeated_lines import MOST_ALIKE
from wiredaemon.net.workers.calls import WorkersBusyError
from wiredaemon.net.workers.pool import NOT_RUNNING, WorkerPool
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    import pytest
    from support.fake_workers import FakeReactor, Ready, Start


def test_no_worker_is_started_before_the_pool(reactor: FakeReactor) -> None:
    pool = WorkerPool(reactor, Limits())
    assert error(ask(pool)) == NOT_RUNNING
    assert reactor.workers == []


def test_another_worker_is_started_only_when_all_are_busy_and_something_waits(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, _ = ready(worker_processes=2)
    ask(pool, b"first")
    assert len(reactor.workers) == 1
    ask(pool, b"second")
    assert len(reactor.workers) == 2
    reactor.workers[1].become_ready()
    ask(pool, b"third")
    assert len(reactor.workers) == 2
    assert [worker.asked for worker in reactor.workers] == [[b"first"], [b"second"]]


def test_a_full_queue_answers_that_it_is_busy(ready: Ready) -> None:
    pool, _ = ready(worker_processes=1, worker_queue=2)
    answers = [ask(pool) for _ in range(4)]
    assert [answer.called for answer in answers] == [False, False, False, True]
    assert error(answers[3]) == str(WorkersBusyError(2))


def test_idle_workers_end_but_for_one(reactor: FakeReactor, start: Start) -> None:
    pool = start(worker_idle_seconds=60.0)
    ask(pool)
    reactor.workers[0].become_ready()
    ask(pool)
    for worker in reactor.workers[1:]:
        worker.become_ready()
    for worker in reactor.workers:
        worker.answer(None)
    assert [worker.input_closed for worker in reactor.workers] == [False, False]
    reactor.advance(60.0)
    assert sorted(worker.input_closed for worker in reactor.workers) == [False, True]
    (ended,) = (worker for worker in reactor.workers if worker.input_closed)
    ended.exit()
    reactor.advance(600.0)
    assert len(reactor.workers) == 2
    assert ended.signals == []


def test_a_worker_is_replaced_after_its_share_of_commands(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_commands=2)
    for _ in range(2):
        assert not worker.input_closed
        ask(pool)
        worker.answer(None)
    assert worker.input_closed
    waiting = ask(pool)
    reactor.workers[1].become_ready()
    reactor.workers[1].answer(b"new")
    assert result(waiting) == b"new"


def test_a_worker_is_replaced_when_it_has_grown(
    reactor: FakeReactor, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wiredaemon.net.workers.resident_memory.ResidentMemory.read", lambda _self: 1001
    )
    start(worker_memory=1000)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].input_closed


def test_a_renewal_lets_idle_workers_go_on_until_another_is_ready(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, old = ready()
    pool.renew()
    # A second renewal does not begin anew with the worker that is starting.
    pool.renew()
    closed = [old.input_closed]
    reactor.workers[1].become_ready()
    assert [*closed, old.input_closed] == [False, True]
    assert len(reactor.workers) == 2
    answer = ask(pool)
    reactor.workers[1].answer(b"new")
    assert result(answer) == b"new"
    assert not reactor.workers[1].input_closed


def test_a_renewal_lets_a_busy_worker_answer_first(reactor: FakeReactor, ready: Ready) -> None:
    pool, old = ready()
    answer = ask(pool)
    pool.renew()
    reactor.workers[1].become_ready()
    closed = [old.input_closed]
    old.answer(b"old")
    assert result(answer) == b"old"
    assert [*closed, old.input_closed] == [False, True]


def test_one_worker_is_kept_for_values_while_all_others_stream(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(worker_processes=3, worker_stream_buffer=BUFFER, worker_spool=0)
    readers = []
    for _ in range(4):
        readers.append(Reader(pool))
        reactor.make_ready()
    assert len(reactor.workers) == 3
    assert [reader.opened.called for reader in readers] == [True, True, False, False]
    kept = reactor.workers[1]
    for worker in (reactor.workers[0], reactor.workers[2]):
        worker.fill()
    for _ in range(3):
        answer = ask(pool)
        kept.answer(b"value")
        assert result(answer) == b"value"
    assert kept.asked == [b"heads"] * 3
    reactor.workers[0].protocol.connection.resume_output()
    reactor.workers[0].end()
    assert readers[2].opened.called


def test_a_value_goes_before_a_stream_that_waits_longer(reactor: FakeReactor, ready: Ready) -> None:
    pool, _ = ready(worker_processes=2)
    running = ask(pool, b"pushkey", Permission.RW)
    reactor.make_ready()
    ask(pool, b"other")
    readers = [Reader(pool) for _ in range(2)]
    values = [ask(pool), ask(pool)]
    reactor.workers[0].answer(b"done")
    assert result(running) == b"done"
    assert reactor.workers[0].asked == [b"pushkey", b"heads"]
    reactor.workers[0].answer(b"value")
    reactor.workers[0].answer(b"value")
    assert [result(each) for each in values] == [b"value"] * 2
    reactor.workers[1].answer(b"other")
    assert [each.opened.called for each in readers] == [True, False]


def test_with_a_single_worker_there_are_streams_too(reactor: FakeReactor, ready: Ready) -> None:
    pool, _ = ready(worker_processes=1)
    readers = [Reader(pool, "ann"), Reader(pool, "ann")]
    assert [each.opened.called for each in readers] == [True, False]
    reactor.workers[0].say(PIECE)
    reactor.workers[0].end()
    assert readers[1].opened.called


def test_one_peer_holds_half_of_the_workers_for_streams_and_others_pass(
    reactor: FakeReactor, start: Start
) -> None:
    pool = start(worker_processes=5)
    greedy = [Reader(pool, "ann") for _ in range(4)]
    for _ in range(4):
        reactor.make_ready()
    assert [each.opened.called for each in greedy] == [True, True, False, False]
    other = Reader(pool, "bob")
    reactor.make_ready()
    assert other.opened.called
    local = [Reader(pool, None) for _ in range(2)]
    reactor.make_ready()
    assert [each.opened.called for each in local] == [True, False]
    reactor.workers[0].say(PIECE)
    reactor.workers[0].end()
    assert [each.opened.called for each in greedy] == [True, True, True, False]


def test_a_peer_without_a_share_may_hold_all(reactor: FakeReactor, start: Start) -> None:
    pool = start(worker_processes=5)
    readers = [Reader(pool, None) for _ in range(5)]
    for _ in range(5):
        reactor.make_ready()
    assert [each.opened.called for each in readers] == [True] * 4 + [False]


def test_streams_and_values_that_wait_fill_a_queue_each(ready: Ready) -> None:
    pool, _ = ready(worker_processes=1, worker_queue=2)
    Reader(pool)
    streams = [Reader(pool) for _ in range(3)]
    values = [ask(pool) for _ in range(3)]
    assert [each.opened.called for each in streams] == [False, False, True]
    assert [each.called for each in values] == [False, False, True]
    assert error(streams[2].opened) == error(values[2]) == str(WorkersBusyError(2))


def test_streams_fill_their_queue_while_the_worker_that_is_kept_for_values_is_idle(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, _ = ready(worker_processes=2, worker_queue=2)
    value = ask(pool)
    Reader(pool)
    reactor.make_ready()
    reactor.workers[0].answer(None)
    assert value.called
    (running,) = (each for each in reactor.workers if each.asked[-1:] == [b"stream"])
    streams = [Reader(pool) for _ in range(4)]
    assert [each.opened.called for each in streams] == [False, False, True, True]
    assert error(streams[2].opened) == error(streams[3].opened) == str(WorkersBusyError(2))
    running.say(PIECE)
    running.end()
    assert [each.opened.called for each in streams[:2]] == [True, False]


def test_one_peer_waits_for_no_more_than_half_of_the_places(ready: Ready) -> None:
    pool, _ = ready(worker_processes=1, worker_queue=4)
    Reader(pool)
    greedy = [Reader(pool, "ann") for _ in range(3)]
    assert [each.opened.called for each in greedy] == [False, False, True]
    assert error(greedy[2].opened) == str(WorkersBusyError(4))
    assert not Reader(pool, "bob").opened.called


def test_a_value_of_a_worker_may_have_more_containers_than_one_of_a_peer(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, _ = ready()
    value = {b"branch %d" % number: [b"node"] for number in range(40_000)}
    assert len(value) > Limits().cbor_containers
    answer = ask(pool)
    reactor.workers[0].answer(value)
    assert result(answer) == value


def test_stopping_counts_lines_until_workers_have_ended_and_leaves_no_timer(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1)

    def write_many() -> None:
        for _ in range(MOST_ALIKE + 2):
            pool.repeated.is_new("alike")

    with observed("wiredaemon.net.workers") as events:
        write_many()
        stopped = pool.stop()
        write_many()
        worker.exit()
    assert stopped.called
    assert [text for text in texts_of(events) if "repeated" in text] == [
        "repository workers: repeated 2 times: alike"
    ] * 2
    assert reactor.getDelayedCalls() == []
