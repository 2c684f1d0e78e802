"""One worker's process: its start and its end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from support.fake_workers import BUFFER, PIECE, Reader, ask, error, result
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Permission
from wiredaemon.net.workers.pool import NOT_RUNNING
from wiredaemon.net.workers.process import END_SECONDS, ENDED_TOO_EARLY
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.repository.worker_calls import CallContext

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, Ready, Start

_case: Final = SynchronousTestCase()


def test_a_worker_is_started_with_our_environment_and_told_the_context(
    reactor: FakeReactor, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMETHING", "inherited")
    pool = start()
    (worker,) = reactor.workers
    assert worker.environment["SOMETHING"] == "inherited"
    assert ("HGENCODING" in worker.environment) == ("HGENCODING" in os.environ)
    worker.become_ready()
    ask(pool, b"pushkey", Permission.RW)
    context = CallContext.parse(worker.requests[-1].extra)
    assert context == CallContext(repository=b"/r", user="alice", permission=Permission.RW)


def test_a_worker_that_is_not_ready_in_time_is_killed(reactor: FakeReactor, start: Start) -> None:
    pool = start(worker_start_seconds=60.0)
    waiting = ask(pool)
    reactor.advance(60.0)
    assert reactor.workers[0].signals == ["KILL"]
    reactor.workers[0].exit(9)
    reactor.advance(0.5)
    reactor.workers[1].become_ready()
    reactor.workers[1].answer(b"served")
    assert result(waiting) == b"served"


def test_what_a_worker_said_before_it_died_still_counts(reactor: FakeReactor, ready: Ready) -> None:
    pool, worker = ready()
    answer = ask(pool)
    worker.protocol.processExited(Failure(ProcessDone(0)))
    worker.answer(b"last words")
    worker.protocol.outConnectionLost()
    assert result(answer) == b"last words"
    worker.protocol.processEnded(Failure(ProcessDone(0)))
    assert len(reactor.workers) == 2


def test_nobody_waits_for_a_worker_that_has_left_but_for_its_standard_error(ready: Ready) -> None:
    pool, worker = ready()
    answer = ask(pool, permission=Permission.RW)
    worker.protocol.processExited(Failure(ProcessTerminated(9)))
    assert not answer.called
    worker.protocol.outConnectionLost()
    assert error(answer) == ENDED_TOO_EARLY


def test_a_worker_that_closes_its_output_and_stays_is_killed(
    reactor: FakeReactor, ready: Ready
) -> None:
    _, worker = ready()
    worker.protocol.outConnectionLost()
    reactor.advance(END_SECONDS)
    assert worker.signals == ["KILL"]


def test_stopping_closes_input_then_terminates_then_kills(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=1)
    running, waiting = ask(pool), ask(pool)
    stopped = pool.stop()
    assert worker.input_closed
    assert error(waiting) == NOT_RUNNING
    assert error(ask(pool)) == NOT_RUNNING
    reactor.advance(END_SECONDS)
    assert worker.signals == ["TERM"]
    reactor.advance(END_SECONDS)
    assert worker.signals == ["TERM", "KILL"]
    assert not stopped.called
    worker.exit(9)
    assert error(running) == ENDED_TOO_EARLY
    _case.successResultOf(stopped)
    assert reactor.getDelayedCalls() == []


def test_a_command_that_runs_when_the_pool_stops_may_finish(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready()
    answer = ask(pool)
    stopped = pool.stop()
    worker.answer(b"done")
    assert result(answer) == b"done"
    worker.exit()
    _case.successResultOf(stopped)
    assert len(reactor.workers) == 1
    assert reactor.getDelayedCalls() == []


@pytest.mark.parametrize("is_full", [True, False])
def test_a_worker_that_dies_inside_a_stream_leaves_its_pieces_and_an_error(
    reactor: FakeReactor, start: Start, *, is_full: bool
) -> None:
    pool = start(worker_processes=2, worker_stream_buffer=BUFFER if is_full else 10 * BUFFER)
    # A write, which is not tried once more.
    reader, waiting = Reader(pool, permission=Permission.RW), Reader(pool)
    pool.spool_budget.limit = 0
    (worker,) = reactor.workers
    worker.become_ready()
    worker.say(*[PIECE] * 3)
    assert worker.output.is_read is not is_full
    worker.exit(9)
    reactor.make_ready()
    assert waiting.opened.called, "nobody need read first"
    assert reader.take() == PIECE * 3
    assert error(reader.reading()) == ENDED_TOO_EARLY
    reader.stream.close()


def test_the_memory_of_a_process_is_known_on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells it in /proc")
    ours = ResidentMemory(os.getpid())
    assert ours.read() > 1024 * 1024
    ours.close()
    ours.close()
    assert ours.read() == 0
    assert ResidentMemory(2**30).read() == 0


def test_a_process_that_is_gone_holds_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        memory = ResidentMemory(other.pid)
        other.communicate(b"\n")
    assert memory.read() == 0
    memory.close()
