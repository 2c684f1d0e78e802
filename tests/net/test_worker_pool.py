"""The pool of workers: real ones on real repositories, and the rest with a clock of our own."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_twisted
from support.daemon import make_repository, write_hgrc
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.fdesc import setNonBlocking
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.net.worker_pool import (
    CANNOT_START,
    NOT_RUNNING,
    Backoff,
    RepositoryUnavailableError,
    WorkerPool,
    resident_memory,
)
from wiredaemon.net.worker_process import END_SECONDS, ENDED_TOO_EARLY
from wiredaemon.protocol import RequestReceived, ServerConnection
from wiredaemon.repository.worker_calls import READY, CallContext
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from wiredaemon.wire.values import Value

NULL: Final = bytes(20)
EMPTY: Final = [NULL]

_case: Final = SynchronousTestCase()


def result(answer: Deferred[object]) -> object:
    return _case.successResultOf(answer)


def error(answer: Deferred[Any]) -> str:
    failure = _case.failureResultOf(answer)
    assert isinstance(failure.value, ServerError | CommandError)
    return str(failure.value)


# --- real workers ----------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HGRCPATH", "")
    return make_repository(tmp_path / "repository")


def block_pushkey(repository: Path) -> tuple[Path, Path]:
    """Let `pushkey` write its worker's pid into one pipe and then wait for the end of another."""
    began, goes_on = repository / "began", repository / "goes_on"
    os.mkfifo(began)
    os.mkfifo(goes_on)
    hook = repository / "hook.py"
    hook.write_text(
        "import os\n"
        "def run(ui, repo, **kw):\n"
        f"    open({str(began)!r}, 'w').write(f'{{os.getpid()}}\\n')\n"
        f"    open({str(goes_on)!r}).read()\n"
    )
    write_hgrc(repository, f"[hooks]\nprepushkey = python:{hook}:run\n")
    return began, goes_on


class Line:
    """The first line that somebody writes into a named pipe."""

    def __init__(self, reactor: Any, path: Path) -> None:
        self.read: Deferred[str] = Deferred()
        self._reactor = reactor
        # Read and write: it opens at once, and has no end while nobody has written.
        self._descriptor = os.open(path, os.O_RDWR)
        setNonBlocking(self._descriptor)
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "line"

    def doRead(self) -> None:
        line = os.read(self._descriptor, 100).decode().strip()
        self.close()
        self.read.callback(line)

    def connectionLost(self, _reason: Failure) -> None:
        self.close()

    def close(self) -> None:
        self._reactor.removeReader(self)
        os.close(self._descriptor)


def make_pool(**more: Any) -> WorkerPool:
    from twisted.internet import reactor  # noqa: PLC0415 pytest-twisted has installed it

    limits = Limits(**{name: more.pop(name) for name in list(more) if name.startswith("worker_")})
    pool = WorkerPool(reactor, limits, **more)
    pool.start()
    return pool


def heads(pool: WorkerPool, repository: Path) -> Deferred[object]:
    return pool.call(
        os.fsencode(repository),
        b"heads",
        {b"publiconly": False},
        user=None,
        permission=Permission.RO,
    )


def push(pool: WorkerPool, repository: Path, name: bytes = b"one") -> Deferred[object]:
    arguments: Mapping[bytes, Value] = {
        b"namespace": b"bookmarks",
        b"key": name,
        b"old": b"",
        b"new": NULL.hex().encode(),
    }
    return pool.call(
        os.fsencode(repository), b"pushkey", arguments, user="alice", permission=Permission.RW
    )


@pytest_twisted.async_yield_fixture
async def pool() -> AsyncIterator[WorkerPool]:
    running = make_pool(worker_processes=2)
    yield running
    await running.stop()


def line(path: Path) -> Deferred[str]:
    from twisted.internet import reactor  # noqa: PLC0415 pytest-twisted has installed it

    return Line(reactor, path).read


@pytest_twisted.ensureDeferred
async def test_value_commands_are_answered_on_a_real_repository(
    pool: WorkerPool, repository: Path
) -> None:
    assert await heads(pool, repository) == EMPTY
    assert await push(pool, repository) == [True, b""]
    with pytest.raises(ServerError, match="unknown revision 'zz'"):
        await pool.call(
            os.fsencode(repository), b"lookup", {b"key": b"zz"}, user=None, permission=Permission.RO
        )


@pytest_twisted.ensureDeferred
async def test_a_description_is_given_or_the_reason_why_there_is_none(
    pool: WorkerPool, repository: Path
) -> None:
    description = await pool.describe(os.fsencode(repository))
    assert description[b"stream_allowed"] is True
    gone = repository / "gone"
    with pytest.raises(RepositoryUnavailableError) as unavailable:
        await pool.describe(os.fsencode(gone))
    assert unavailable.value.reason == f"{gone}: no Mercurial repository here"


@pytest_twisted.ensureDeferred
async def test_a_worker_killed_while_it_answers_costs_only_its_own_command(
    repository: Path, tmp_path: Path
) -> None:
    pool = make_pool(worker_processes=1)
    other = make_repository(tmp_path / "other")
    began, _ = block_pushkey(repository)
    pid = line(began)
    pushed = push(pool, repository)
    waiting = heads(pool, other)
    os.kill(int(await pid), signal.SIGKILL)
    with pytest.raises(ServerError, match=f"^{ENDED_TOO_EARLY}$"):
        await pushed
    assert await waiting == EMPTY
    assert await heads(pool, repository) == EMPTY
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_a_command_is_answered_while_another_one_blocks_its_worker(
    pool: WorkerPool, repository: Path
) -> None:
    began, goes_on = block_pushkey(repository)
    pid = line(began)
    pushed = push(pool, repository)
    await pid
    assert await heads(pool, repository) == EMPTY
    assert not pushed.called
    goes_on.write_text("")
    assert await pushed == [True, b""]


@pytest_twisted.ensureDeferred
async def test_many_calls_at_once_are_all_answered(pool: WorkerPool, repository: Path) -> None:
    answers = await gatherResults([heads(pool, repository) for _ in range(50)])
    assert answers == [EMPTY] * 50


@pytest_twisted.ensureDeferred
async def test_a_program_that_a_hook_leaves_behind_delays_nothing(
    pool: WorkerPool, repository: Path
) -> None:
    leftover = repository / "leftover"
    os.mkfifo(leftover)
    hook = repository / "hook.py"
    # It holds the worker's standard error until somebody writes.
    hook.write_text(
        "import subprocess\n"
        "def run(ui, repo, **kw):\n"
        f"    kw['hooktype'] and subprocess.Popen(['cat', {str(leftover)!r}], stdout=2)\n"
    )
    write_hgrc(repository, f"[hooks]\nprepushkey = python:{hook}:run\n")
    assert await push(pool, repository) == [True, b""]
    await pool.stop()
    leftover.write_text("")


@pytest_twisted.ensureDeferred
async def test_a_program_that_cannot_start_fails_what_waits_and_works_once_it_is_mended(
    repository: Path, tmp_path: Path
) -> None:
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\necho it is broken >&2; exit 1\n")
    program.chmod(0o755)
    pool = make_pool(command=[str(program)])
    with pytest.raises(ServerError, match=f"^{CANNOT_START}$"):
        await heads(pool, repository)
    mended = tmp_path / "mended"
    mended.write_text(f"#!/bin/sh\nexec {sys.executable} -P -m wiredaemon.repository.worker\n")
    mended.chmod(0o755)
    mended.replace(program)
    while True:
        try:
            answer = await heads(pool, repository)
        except ServerError:
            await next_turn()
        else:
            break
    assert answer == EMPTY
    await pool.stop()


def next_turn() -> Deferred[None]:
    from twisted.internet import reactor  # noqa: PLC0415 pytest-twisted has installed it
    from twisted.internet.task import deferLater  # noqa: PLC0415 the same

    return deferLater(reactor, 0, lambda: None)


@pytest_twisted.ensureDeferred
async def test_a_program_without_its_package_is_one_that_cannot_start(
    repository: Path,
) -> None:
    pool = make_pool(command=[sys.executable, "-c", "import there_is_no_such_package"])
    with pytest.raises(ServerError, match=f"^{CANNOT_START}$"):
        await heads(pool, repository)
    await pool.stop()


def test_the_memory_of_a_process_is_known_on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells it in /proc")
    assert resident_memory(os.getpid()) > 1024 * 1024
    assert resident_memory(2**30) == 0


# --- workers by hand -------------------------------------------------------------------------


@dataclass
class FakeWorker:
    """A process that a test plays: the worker's side of the protocol and its end."""

    protocol: Any
    command: Sequence[str]
    environment: Mapping[str, str]
    pid: int

    def __post_init__(self) -> None:
        self._connection = ServerConnection(DIALECTS["0006"], half_duplex=False)
        self.requests: list[RequestReceived] = []
        self.signals: list[str] = []
        self.input_closed = False

    # As its transport.

    def write(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            assert isinstance(event, RequestReceived)
            self.requests.append(event)

    def closeStdin(self) -> None:
        self.input_closed = True

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    # As its program.

    def answer(self, value: Value) -> None:
        self._connection.send_result(self.requests[-1].request_id, value)
        self.flush()

    def flush(self) -> None:
        frames = self._connection.data_to_send()
        self.protocol.outReceived(b"".join(part for frame in frames for part in frame))

    def fail(self, message: bytes) -> None:
        self._connection.send_error(self.requests[-1].request_id, message)
        self.flush()

    def become_ready(self) -> None:
        assert self.requests[-1].command == READY
        self.answer(b"7.2")

    def exit(self, code: int = 0) -> None:
        reason = Failure(ProcessTerminated(code) if code else ProcessDone(0))
        self.protocol.processExited(reason)
        self.protocol.outConnectionLost()
        self.protocol.errConnectionLost()
        self.protocol.processEnded(reason)

    @property
    def asked(self) -> list[object]:
        return [request.command for request in self.requests if request.command != READY]


class FakeReactor(Clock):
    """A clock that starts fake workers."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[FakeWorker] = []
        self.refusal: OSError | None = None

    def spawnProcess(
        self,
        protocol: Any,
        executable: str,
        args: Sequence[str],
        env: Mapping[str, str],
        childFDs: Mapping[int, str],
    ) -> FakeWorker:
        assert executable == args[0]
        assert childFDs == {0: "w", 1: "r", 2: "r"}
        if self.refusal is not None:
            raise self.refusal
        pid = 2**30 + len(self.workers)
        self.workers.append(FakeWorker(protocol, args, env, pid))
        return self.workers[-1]


@pytest.fixture
def reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def start(reactor: FakeReactor) -> Callable[..., WorkerPool]:
    def start_pool(**limits: Any) -> WorkerPool:
        pool = WorkerPool(reactor, Limits(**limits), command=["worker"])
        pool.start()
        return pool

    return start_pool


def ask(
    pool: WorkerPool, command: bytes = b"heads", permission: Permission = Permission.RO
) -> Deferred[object]:
    return pool.call(b"/r", command, {}, user="alice", permission=permission)


def test_no_worker_is_started_before_the_pool(reactor: FakeReactor) -> None:
    pool = WorkerPool(reactor, Limits())
    assert error(ask(pool)) == NOT_RUNNING
    assert reactor.workers == []


def test_a_worker_is_started_with_our_environment_and_told_the_context(
    reactor: FakeReactor, start: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMETHING", "inherited")
    pool = start()
    (worker,) = reactor.workers
    assert worker.environment["SOMETHING"] == "inherited"
    assert worker.environment["HGPLAIN"] == "1"
    assert worker.environment["HGENCODING"] == "utf-8"
    worker.become_ready()
    ask(pool, b"pushkey", Permission.RW)
    context = CallContext.parse(worker.requests[-1].extra)
    assert context == CallContext(repository=b"/r", user="alice", permission=Permission.RW)


def test_an_answer_and_both_kinds_of_errors_reach_who_asked(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    first, second = ask(pool, b"first"), ask(pool, b"second")
    worker.answer({b"a": [1]})
    assert result(first) == {b"a": [1]}
    worker.fail(b"100%% wrong")
    assert error(second) == "100% wrong"


def test_another_worker_is_started_only_when_all_are_busy_and_something_waits(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=2)
    reactor.workers[0].become_ready()
    ask(pool, b"first")
    assert len(reactor.workers) == 1
    ask(pool, b"second")
    assert len(reactor.workers) == 2
    reactor.workers[1].become_ready()
    ask(pool, b"third")
    assert len(reactor.workers) == 2
    assert [worker.asked for worker in reactor.workers] == [[b"first"], [b"second"]]


def test_a_full_queue_answers_that_it_is_busy(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1, worker_queue=2)
    reactor.workers[0].become_ready()
    answers = [ask(pool) for _ in range(4)]
    assert [answer.called for answer in answers] == [False, False, False, True]
    assert error(answers[3]) == "busy: 2 commands wait for a repository worker"


def test_idle_workers_end_but_for_one(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
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
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_commands=2)
    worker = reactor.workers[0]
    worker.become_ready()
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
    reactor: FakeReactor, start: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wiredaemon.net.worker_pool.resident_memory", lambda _pid: 1001)
    start(worker_memory=1000)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].input_closed


def test_a_start_that_fails_is_tried_again_later_and_later(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    waiting = ask(pool)
    reactor.workers[0].exit(1)
    assert error(waiting) == CANNOT_START
    assert error(ask(pool)) == CANNOT_START
    for number, delay in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0], 1):
        assert len(reactor.workers) == number
        reactor.advance(delay - 0.25)
        assert len(reactor.workers) == number
        reactor.advance(0.25)
        assert len(reactor.workers) == number + 1
        reactor.workers[-1].exit(1)
    reactor.advance(30.0)
    served = ask(pool)
    reactor.workers[-1].become_ready()
    reactor.workers[-1].answer(b"served")
    assert result(served) == b"served"


def test_a_process_that_the_system_refuses_is_a_start_that_failed(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    reactor.refusal = OSError(11, "Resource temporarily unavailable")
    pool = start()
    assert error(ask(pool)) == CANNOT_START
    reactor.refusal = None
    reactor.advance(0.5)
    served = ask(pool)
    reactor.workers[0].become_ready()
    reactor.workers[0].answer(b"served")
    assert result(served) == b"served"


def test_a_worker_that_is_not_ready_in_time_is_killed(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_start_seconds=60.0)
    waiting = ask(pool)
    reactor.advance(60.0)
    assert reactor.workers[0].signals == ["KILL"]
    reactor.workers[0].exit(9)
    assert error(waiting) == CANNOT_START


def test_one_more_worker_that_cannot_start_leaves_the_queue_to_the_others(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    reactor.workers[0].become_ready()
    first, second = ask(pool), ask(pool)
    reactor.workers[1].exit(1)
    assert not second.called
    reactor.workers[0].answer(b"first")
    reactor.workers[0].answer(b"second")
    assert (result(first), result(second)) == (b"first", b"second")


def test_a_first_death_is_replaced_at_once_and_the_next_ones_later(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1)
    reactor.workers[0].become_ready()
    answer = ask(pool)
    reactor.workers[0].exit(11)
    assert error(answer) == ENDED_TOO_EARLY
    assert len(reactor.workers) == 2
    reactor.workers[1].become_ready()
    answer = ask(pool)
    reactor.workers[1].exit(11)
    assert error(answer) == ENDED_TOO_EARLY
    waiting = ask(pool)
    assert len(reactor.workers) == 2
    reactor.advance(1.0)
    reactor.workers[2].become_ready()
    reactor.workers[2].answer(b"served")
    assert result(waiting) == b"served"


def test_what_a_worker_said_before_it_died_still_counts(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    worker.protocol.processExited(Failure(ProcessDone(0)))
    worker.answer(b"last words")
    worker.protocol.outConnectionLost()
    assert result(answer) == b"last words"
    worker.protocol.processEnded(Failure(ProcessDone(0)))
    assert len(reactor.workers) == 2


def test_nobody_waits_for_a_worker_that_has_left_but_for_its_standard_error(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    worker.protocol.processExited(Failure(ProcessTerminated(9)))
    assert not answer.called
    worker.protocol.outConnectionLost()
    assert error(answer) == ENDED_TOO_EARLY


def test_a_worker_that_closes_its_output_and_stays_is_killed(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    start()
    (worker,) = reactor.workers
    worker.become_ready()
    worker.protocol.outConnectionLost()
    reactor.advance(END_SECONDS)
    assert worker.signals == ["KILL"]


def test_a_result_over_the_limit_costs_the_command_and_its_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_result=1000)
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    worker.answer(bytes(2000))
    assert error(answer).endswith("response exceeds the limit of 1000 bytes")
    assert worker.signals == ["KILL"]
    worker.exit(9)
    assert len(reactor.workers) == 2


def test_a_worker_that_speaks_no_protocol_is_replaced(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    worker.protocol.outReceived(b"Traceback (most recent call last):\n")
    assert error(answer).startswith("the repository worker's answer is refused: ")
    assert worker.signals == ["KILL"]


def test_an_argument_that_has_no_form_costs_only_its_command(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    wrong: Any = {b"key": 1.5}
    answer = pool.call(b"/r", b"lookup", wrong, user=None, permission=Permission.RO)
    assert "float" in error(answer)
    served = ask(pool)
    worker.answer(b"served")
    assert result(served) == b"served"


def test_a_call_that_is_cancelled_while_it_waits_is_never_made(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    answer = ask(pool)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].asked == []


def test_the_worker_of_a_cancelled_read_is_stopped_after_a_grace(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_read_grace=2.0)
    (worker,) = reactor.workers
    worker.become_ready()
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
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    answer.cancel()
    _case.failureResultOf(answer, CancelledError)
    worker.answer(b"late")
    ask(pool)
    reactor.advance(10.0)
    assert worker.signals == []


def test_a_cancelled_write_goes_on_and_holds_its_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1)
    (worker,) = reactor.workers
    worker.become_ready()
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


def test_stopping_closes_input_then_terminates_then_kills(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1)
    (worker,) = reactor.workers
    worker.become_ready()
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
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    answer = ask(pool)
    stopped = pool.stop()
    worker.answer(b"done")
    assert result(answer) == b"done"
    worker.exit()
    _case.successResultOf(stopped)
    assert len(reactor.workers) == 1
    assert reactor.getDelayedCalls() == []


def test_a_pool_stops_while_its_worker_starts_and_while_it_waits_to_try_again(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    first = start()
    stopped = first.stop()
    reactor.workers[0].exit()
    _case.successResultOf(stopped)
    second = start()
    reactor.workers[1].exit(1)
    _case.successResultOf(second.stop())
    assert reactor.getDelayedCalls() == []


def test_a_description_that_is_none_is_an_error(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    described = pool.describe(b"/r")
    worker.answer([])
    assert error(described) == "the repository worker gave no description"


def test_a_delay_doubles_until_the_longest_and_a_success_resets_it() -> None:
    backoff = Backoff()
    assert [backoff.fail() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    for _ in range(2000):
        backoff.fail()
    assert backoff.fail() == 30
    backoff.reset()
    assert backoff.fail() == 0.5
