"""The pool of workers: real ones on real repositories, and the rest with a clock of our own."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_twisted
from support.daemon import make_repository, run_hg, write_hgrc
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.fdesc import setNonBlocking
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.net.workers.pool import (
    CANNOT_START,
    NOT_RUNNING,
    Backoff,
    RepositoryUnavailableError,
    WorkerPool,
    resident_memory,
)
from wiredaemon.net.workers.process import END_SECONDS, ENDED_TOO_EARLY, WorkerState
from wiredaemon.protocol import (
    DataReceived,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.repository.web_calls import WEB, WebRequest
from wiredaemon.repository.worker_calls import READY, CallContext
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from wiredaemon.net.workers.answers import WorkerStream
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
    context = CallContext(repository=os.fsencode(repository))
    return pool.call(context, b"heads", {b"publiconly": False})


def push(pool: WorkerPool, repository: Path, name: bytes = b"one") -> Deferred[object]:
    arguments: Mapping[bytes, Value] = {
        b"namespace": b"bookmarks",
        b"key": name,
        b"old": b"",
        b"new": NULL.hex().encode(),
    }
    context = CallContext(
        repository=os.fsencode(repository), user="alice", permission=Permission.RW
    )
    return pool.call(context, b"pushkey", arguments)


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
    context = CallContext(repository=os.fsencode(repository))
    with pytest.raises(ServerError, match="unknown revision 'zz'"):
        await pool.call(context, b"lookup", {b"key": b"zz"})


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
    mended.write_text(f"#!/bin/sh\nexec {sys.executable} -P -m wiredaemon.worker\n")
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


# --- real workers that stream ------------------------------------------------------------------

LARGE: Final = 30 * 1024 * 1024
PIPE: Final = 64 * 1024
"""Bytes that a pipe holds."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one file of 30 MB that no compression makes smaller."""
    folder = make_repository(tmp_path_factory.mktemp("template") / "large")
    (folder / "large").write_bytes(random.Random(7).randbytes(LARGE))  # noqa: S311 no secret
    run_hg("commit", "-A", "-m", "large", "-u", "test", "-d", "0 0", folder=folder)
    return folder


@pytest.fixture
def large(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HGRCPATH", "")
    folder = tmp_path / "large"
    shutil.copytree(template, folder, symlinks=True)
    return folder


class Pids:
    """A command line for workers whose process ids are known, the last one last."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "pids"
        program = f"{sys.executable} -P -m wiredaemon.worker"
        self.command = ["sh", "-c", f"echo $$ >> {self._file}; exec {program}"]

    def last(self) -> int:
        return int(self._file.read_text().split()[-1])


def web_request(query: bytes = b"", path: bytes = b"", **more: Any) -> Mapping[bytes, Value]:
    request = WebRequest(
        method=more.pop("method", b"GET"),
        path_info=path,
        query=query,
        server_name=b"localhost",
        server_port=80,
        **more,
    )
    return request.encode()


def open_web(
    pool: WorkerPool,
    repository: Path,
    request: Mapping[bytes, Value],
    *,
    permission: Permission = Permission.RO,
    share: str | None = None,
    has_data: bool = False,
) -> Deferred[WorkerStream]:
    context = CallContext(repository=os.fsencode(repository), user=None, permission=permission)
    return pool.open(context, WEB, request, share=share, has_data=has_data)


def large_file(pool: WorkerPool, repository: Path, share: str | None = None) -> Any:
    return open_web(pool, repository, web_request(path=b"/raw-file/tip/large"), share=share)


async def read_all(stream: WorkerStream) -> bytes:
    """What is left of a body."""
    items = ItemReader(DIALECTS["0006"].cbor, Limits())
    values: list[object] = []
    while pieces := await stream.read():
        for piece in pieces:
            values += items.receive_data(piece)
    stream.close()
    return b"".join(value for value in values if isinstance(value, bytes))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await next_turn()


@pytest_twisted.ensureDeferred
async def test_a_large_answer_waits_in_the_worker_while_its_reader_is_slow(
    large: Path, tmp_path: Path
) -> None:
    pids = Pids(tmp_path)
    pool = make_pool(worker_processes=1, worker_stream_buffer=PIPE, command=pids.command)
    stream = await large_file(pool, large)
    await until(lambda: stream.is_full)
    for _ in range(100):
        await next_turn()
    assert stream.is_full
    os.kill(pids.last(), signal.SIGKILL)
    with pytest.raises(ServerError, match=f"^{ENDED_TOO_EARLY}$"):
        await read_all(stream)
    stream.close()
    # The buffer, one read of the pipe beyond it, and what the pipe held.
    assert PIPE <= stream.taken <= 3 * PIPE
    assert await heads(pool, large) != EMPTY
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_values_are_answered_while_all_streams_are_stalled_and_then_those_are_whole(
    large: Path,
) -> None:
    pool = make_pool(worker_processes=3, worker_stream_buffer=PIPE, worker_spool=0)
    streams = [await large_file(pool, large, share) for share in ("ann", "bob")]
    await until(lambda: all(stream.is_full for stream in streams))
    waiting = large_file(pool, large, "eve")
    answers = await gatherResults([heads(pool, large) for _ in range(20)])
    assert len({str(answer) for answer in answers}) == 1
    assert not waiting.called
    content = (large / "large").read_bytes()
    for stream in streams:
        assert await read_all(stream) == content
    assert await read_all(await waiting) == content
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_a_stalled_stream_is_spooled_whole_when_another_one_waits(large: Path) -> None:
    pool = make_pool(worker_processes=2, worker_stream_buffer=PIPE)
    stalled = await large_file(pool, large)
    await until(lambda: stalled.is_full)
    content = (large / "large").read_bytes()
    assert await read_all(await large_file(pool, large)) == content
    # Some of it is in memory.
    assert LARGE - 4 * PIPE < pool.spool_budget.used < LARGE + LARGE // 50
    assert await read_all(stalled) == content
    assert pool.spool_budget.used == 0
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_a_reader_that_leaves_frees_the_worker_for_the_next_one(large: Path) -> None:
    pool = make_pool(worker_processes=1, worker_stream_buffer=PIPE, worker_read_grace=0.0)
    stream = await large_file(pool, large)
    await stream.read()
    stream.close()
    assert await read_all(await large_file(pool, large)) == (large / "large").read_bytes()
    await pool.stop()


def unbundle(pool: WorkerPool, repository: Path, size: int | None) -> Deferred[WorkerStream]:
    request = web_request(
        b"cmd=unbundle",
        method=b"POST",
        headers=(
            (b"Content-Type", b"application/mercurial-0.1"),
            (b"X-HgArg-1", b"heads=666f726365"),
        ),
        has_body=True,
        content_length=size,
    )
    return open_web(pool, repository, request, permission=Permission.RW, has_data=True)


class PausedUpload:
    """Who sends command data, paused and resumed."""

    paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.paused = True


@pytest.mark.parametrize("is_declared", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_push_goes_through_a_worker_that_pauses_it_while_it_does_not_read(
    large: Path, repository: Path, tmp_path: Path, *, is_declared: bool
) -> None:
    bundle = tmp_path / "bundle"
    run_hg("bundle", "--all", "--type", "none-v1", str(bundle), folder=large)
    content = bundle.read_bytes()
    pids = Pids(tmp_path)
    pool = make_pool(worker_processes=1, command=pids.command)
    stream = await unbundle(pool, repository, len(content) if is_declared else None)
    upload: Any = PausedUpload()
    stream.watch_input(upload)
    os.kill(pids.last(), signal.SIGSTOP)
    sent = 0
    while not upload.paused:
        stream.send_data(content[sent : sent + 10_000])
        sent += 10_000
        await next_turn()
    # What a transport buffers, and what the pipe took.
    assert sent <= 3 * PIPE
    os.kill(pids.last(), signal.SIGCONT)
    while sent < len(content):
        await until(lambda: not upload.paused)
        stream.send_data(content[sent : sent + 100_000])
        sent += 100_000
    stream.send_data(b"", end=True)
    assert (await read_all(stream)).startswith(b"1\n")
    assert run_hg("log", "-T", "{desc}", folder=repository) == b"large"
    run_hg("verify", folder=repository)
    await pool.stop()


@pytest_twisted.ensureDeferred
async def test_a_push_whose_peer_leaves_ends_its_worker_and_harms_nothing(
    large: Path, repository: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    run_hg("bundle", "--all", "--type", "none-v1", str(bundle), folder=large)
    content = bundle.read_bytes()
    pids = Pids(tmp_path)
    pool = make_pool(worker_processes=1, command=pids.command)
    stream = await unbundle(pool, repository, len(content))
    first = pids.last()
    stream.send_data(content[: LARGE // 2])
    stream.close()
    assert await heads(pool, repository) == EMPTY
    assert pids.last() != first
    run_hg("verify", folder=repository)
    assert not (repository / ".hg" / "store" / "journal").exists()
    assert await push(pool, repository) == [True, b""]
    await pool.stop()


def test_the_memory_of_a_process_is_known_on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells it in /proc")
    assert resident_memory(os.getpid()) > 1024 * 1024
    assert resident_memory(2**30) == 0


# --- workers by hand -------------------------------------------------------------------------


class FakePipe:
    """The end of a worker's output."""

    is_read = True

    def stopReading(self) -> None:
        self.is_read = False

    def startReading(self) -> None:
        self.is_read = True


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
        self.output = FakePipe()
        self.pipes = {1: self.output}
        self.producer: Any = None
        self.data = b""
        self.data_ended = False

    # As its transport.

    def write(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            match event:
                case RequestReceived():
                    self.requests.append(event)
                    self.data, self.data_ended = b"", False
                case DataReceived():
                    self.data += event.data
                case _:
                    assert isinstance(event, RequestCompleted)
                    self.data_ended = True

    def registerProducer(self, producer: Any, streaming: object) -> None:
        assert streaming is True
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def closeStdin(self) -> None:
        self.input_closed = True

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    # As its program.

    def answer(self, value: Value) -> None:
        self._connection.send_result(self.requests[-1].request_id, value)
        self.flush()

    def say(self, *pieces: bytes) -> None:
        """Send each piece in a frame of its own."""
        self._connection.send_object(self.requests[-1].request_id, Encoded(pieces))
        self.flush()

    def end(self) -> None:
        self._connection.end_response(self.requests[-1].request_id)
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
        # The end of a pipe that is not read is not seen.
        assert self.output.is_read
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
    context = CallContext(repository=b"/r", user="alice", permission=permission)
    return pool.call(context, command, {})


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
    assert error(answers[3]) == BUSY


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
    monkeypatch.setattr("wiredaemon.net.workers.pool.resident_memory", lambda _pid: 1001)
    start(worker_memory=1000)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].input_closed


def test_a_start_that_fails_is_tried_again_later_and_later(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
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


def test_a_process_that_the_system_refuses_is_a_start_that_failed(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
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


def test_a_worker_that_is_not_ready_in_time_is_killed(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_start_seconds=60.0)
    waiting = ask(pool)
    reactor.advance(60.0)
    assert reactor.workers[0].signals == ["KILL"]
    reactor.workers[0].exit(9)
    reactor.advance(0.5)
    reactor.workers[1].become_ready()
    reactor.workers[1].answer(b"served")
    assert result(waiting) == b"served"


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
    answer = pool.call(CallContext(repository=b"/r"), b"lookup", wrong)
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


# --- streams by hand ---------------------------------------------------------------------------

BUSY: Final = "busy: too many commands wait for a repository worker"
PIECE: Final = bytes(1000)
BUFFER: Final = 3000


class Reader:
    """Who has asked for a stream."""

    def __init__(
        self,
        pool: WorkerPool,
        share: str | None = None,
        *,
        permission: Permission = Permission.RO,
        has_data: bool = False,
    ) -> None:
        context = CallContext(repository=b"/r", user=None, permission=permission)
        self.opened = pool.open(context, b"stream", {}, share=share, has_data=has_data)
        self._stream: WorkerStream | None = None

    @property
    def stream(self) -> WorkerStream:
        self._stream = self._stream or _case.successResultOf(self.opened)
        return self._stream

    def reading(self) -> Deferred[list[bytes]]:
        return Deferred.fromCoroutine(self.stream.read())

    def take(self) -> bytes:
        pieces: list[bytes] = _case.successResultOf(self.reading())
        return b"".join(pieces)

    def take_all(self) -> bytes:
        taken = b""
        while more := self.take():
            taken += more
        return taken


def ready(reactor: FakeReactor) -> None:
    """Let the workers that were started be ready, one after the other."""
    for worker in reactor.workers:
        if not worker.requests[1:] and worker.protocol.state is WorkerState.STARTING:
            worker.become_ready()


def fill(worker: FakeWorker) -> None:
    """Say so much that a reader who does not read makes the worker wait."""
    while worker.output.is_read:
        worker.say(PIECE)


def test_a_stream_is_given_as_soon_as_a_worker_begins_and_then_piece_by_piece(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
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


def test_one_worker_is_kept_for_values_while_all_others_stream(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=3, worker_stream_buffer=BUFFER, worker_spool=0)
    readers = []
    for _ in range(4):
        readers.append(Reader(pool))
        ready(reactor)
    assert len(reactor.workers) == 2
    assert [reader.opened.called for reader in readers] == [True, True, False, False]
    for worker in reactor.workers:
        fill(worker)
    for _ in range(3):
        answer = ask(pool)
        ready(reactor)
        reactor.workers[2].answer(b"value")
        assert result(answer) == b"value"
    assert reactor.workers[2].asked == [b"heads"] * 3
    reactor.workers[0].protocol.resume_output()
    reactor.workers[0].end()
    assert readers[2].opened.called


def test_a_value_goes_before_a_stream_that_waits_longer(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=2)
    reactor.workers[0].become_ready()
    running = ask(pool, b"pushkey", Permission.RW)
    readers = [Reader(pool) for _ in range(2)]
    values = [ask(pool), ask(pool)]
    reactor.workers[0].answer(b"done")
    assert result(running) == b"done"
    assert reactor.workers[0].asked == [b"pushkey", b"heads"]
    reactor.workers[0].answer(b"value")
    reactor.workers[0].answer(b"value")
    assert [result(each) for each in values] == [b"value"] * 2
    assert [each.opened.called for each in readers] == [True, False]


def test_with_a_single_worker_there_are_streams_too(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1)
    reactor.workers[0].become_ready()
    readers = [Reader(pool, "ann"), Reader(pool, "ann")]
    assert [each.opened.called for each in readers] == [True, False]
    reactor.workers[0].say(PIECE)
    reactor.workers[0].end()
    assert readers[1].opened.called


def test_one_peer_holds_half_of_the_workers_for_streams_and_others_pass(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=5)
    greedy = [Reader(pool, "ann") for _ in range(4)]
    for _ in range(4):
        ready(reactor)
    assert [each.opened.called for each in greedy] == [True, True, False, False]
    other = Reader(pool, "bob")
    ready(reactor)
    assert other.opened.called
    local = [Reader(pool, None) for _ in range(2)]
    ready(reactor)
    assert [each.opened.called for each in local] == [True, False]
    reactor.workers[0].say(PIECE)
    reactor.workers[0].end()
    assert [each.opened.called for each in greedy] == [True, True, True, False]


def test_a_peer_without_a_share_may_hold_all(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=5)
    readers = [Reader(pool, None) for _ in range(5)]
    for _ in range(5):
        ready(reactor)
    assert [each.opened.called for each in readers] == [True] * 4 + [False]


def test_streams_and_values_that_wait_fill_a_queue_each(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1, worker_queue=2)
    reactor.workers[0].become_ready()
    Reader(pool)
    streams = [Reader(pool) for _ in range(3)]
    values = [ask(pool) for _ in range(3)]
    assert [each.opened.called for each in streams] == [False, False, True]
    assert [each.called for each in values] == [False, False, True]
    assert error(streams[2].opened) == error(values[2]) == BUSY


def test_streams_fill_their_queue_while_the_worker_that_is_kept_for_values_is_idle(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=2, worker_queue=2)
    reactor.workers[0].become_ready()
    value = ask(pool)
    Reader(pool)
    ready(reactor)
    reactor.workers[0].answer(None)
    assert value.called
    streams = [Reader(pool) for _ in range(4)]
    assert [each.opened.called for each in streams] == [False, False, True, True]
    assert error(streams[2].opened) == error(streams[3].opened) == BUSY
    reactor.workers[1].say(PIECE)
    reactor.workers[1].end()
    assert [each.opened.called for each in streams[:2]] == [True, False]


def test_one_peer_waits_for_no_more_than_half_of_the_places(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1, worker_queue=4)
    reactor.workers[0].become_ready()
    Reader(pool)
    greedy = [Reader(pool, "ann") for _ in range(3)]
    assert [each.opened.called for each in greedy] == [False, False, True]
    assert error(greedy[2].opened) == BUSY
    assert not Reader(pool, "bob").opened.called


def test_a_slow_reader_makes_its_worker_wait_while_nobody_else_wants_it(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=2, worker_stream_buffer=BUFFER)
    reader = Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    fill(worker)
    reactor.advance(600.0)
    assert worker.signals == []
    assert not worker.output.is_read
    assert pool.spool_budget.used == 0
    assert reader.take() == PIECE * 3
    assert worker.output.is_read


@pytest.mark.parametrize("is_full_first", [True, False])
def test_a_slow_reader_is_spooled_as_soon_as_another_stream_waits(
    reactor: FakeReactor,
    start: Callable[..., WorkerPool],
    *,
    is_full_first: bool,
) -> None:
    pool = start(worker_processes=2, worker_stream_buffer=BUFFER)
    slow = Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    if is_full_first:
        fill(worker)
        other = Reader(pool)
    else:
        other = Reader(pool)
        worker.say(*[PIECE] * 4)
    assert worker.output.is_read
    worker.say(*[PIECE] * 100)
    worker.end()
    assert other.opened.called
    assert pool.spool_budget.used > 90_000
    worker.say(b"other's")
    worker.end()
    assert other.take_all() == b"other's"
    assert slow.take_all() == PIECE * (103 if is_full_first else 104)
    assert pool.spool_budget.used == 0


def test_streams_are_relieved_when_values_hold_the_other_workers(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=3, worker_stream_buffer=BUFFER)
    Reader(pool)
    reactor.workers[0].become_ready()
    fill(reactor.workers[0])
    for _ in range(2):
        ask(pool, b"pushkey", Permission.RW)
        ready(reactor)
    assert len(reactor.workers) == 3
    waiting = Reader(pool)
    assert not waiting.opened.called
    assert reactor.workers[0].output.is_read


def slow_pool(start: Callable[..., WorkerPool], **more: Any) -> WorkerPool:
    """One worker for streams, which nothing can be spooled for."""
    limits = {
        "worker_processes": 2,
        "worker_stream_buffer": BUFFER,
        "worker_spool": 0,
        "worker_drain_rate": 100,
        "worker_drain_seconds": 60.0,
    }
    return start(**limits | more)


def test_a_reader_that_hardly_reads_loses_its_worker_to_who_waits(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start)
    slow = Reader(pool)
    reactor.workers[0].become_ready()
    fill(reactor.workers[0])
    reactor.advance(600.0)
    assert reactor.workers[0].signals == [], "nobody waits"
    waiting = Reader(pool)
    reactor.advance(59.0)
    assert reactor.workers[0].signals == []
    reactor.advance(1.0)
    assert reactor.workers[0].signals == ["KILL"]
    reactor.workers[0].exit(9)
    ready(reactor)
    assert waiting.opened.called
    assert slow.take() == PIECE * 3
    assert error(slow.reading()) == ENDED_TOO_EARLY


def test_a_reader_that_reads_fast_enough_keeps_its_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start)
    reader = Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    fill(worker)
    Reader(pool)
    for _ in range(10):
        for _ in range(2):
            reader.take()
            fill(worker)
        reactor.advance(60.0)
    assert worker.signals == []
    reactor.advance(60.0)
    assert worker.signals == ["KILL"]


def test_a_reader_that_has_just_begun_is_not_called_slow(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start, worker_processes=3)
    Reader(pool, "ann")
    Reader(pool, "bob")
    ready(reactor)
    ready(reactor)
    first, second = reactor.workers
    fill(first)
    Reader(pool, "eve")
    reactor.advance(59.0)
    second.say(PIECE)
    second.end()  # eve's begins here
    fill(second)
    Reader(pool, "joe")
    reactor.advance(1.0)
    assert (first.signals, second.signals) == (["KILL"], [])
    reactor.advance(60.0)
    assert second.signals == ["KILL"]


def test_a_write_keeps_its_worker_however_slowly_its_answer_is_read(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start)
    Reader(pool, permission=Permission.RW)
    (worker,) = reactor.workers
    worker.become_ready()
    fill(worker)
    Reader(pool)
    reactor.advance(600.0)
    assert worker.signals == []


def test_who_reads_late_does_not_disturb_the_next_stream_of_the_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start)
    first, second = Reader(pool), Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    worker.say(PIECE, PIECE, PIECE)
    worker.end()
    fill(worker)
    assert not worker.output.is_read
    assert len(first.take_all()) == 3 * len(PIECE)
    first.stream.close()
    assert not worker.output.is_read, "the second reader has not read"
    second.take()
    assert worker.output.is_read


# --- streams that end early ---------------------------------------------------------------------


def test_a_stream_that_is_cancelled_while_it_waits_is_never_begun(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    reader = Reader(start())
    reader.opened.cancel()
    _case.failureResultOf(reader.opened, CancelledError)
    reactor.workers[0].become_ready()
    assert reactor.workers[0].asked == []


def test_the_worker_of_a_read_whose_reader_left_is_stopped_after_a_grace(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_read_grace=2.0, worker_stream_buffer=BUFFER)
    reader = Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    fill(worker)
    reader.stream.close()
    assert worker.output.is_read, "it may be done soon"
    reactor.advance(1.5)
    assert worker.signals == []
    reactor.advance(0.5)
    assert worker.signals == ["KILL"]


def test_a_read_that_ends_within_the_grace_keeps_its_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    reader = Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    worker.say(PIECE)
    reader.stream.close()
    worker.say(PIECE)
    worker.end()
    Reader(pool)
    reactor.advance(10.0)
    assert worker.signals == []


def test_a_write_whose_reader_left_goes_on_and_holds_its_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=1, worker_stream_buffer=BUFFER)
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    (worker,) = reactor.workers
    worker.become_ready()
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


@pytest.mark.parametrize("is_full", [True, False])
def test_a_worker_that_dies_inside_a_stream_leaves_its_pieces_and_an_error(
    reactor: FakeReactor, start: Callable[..., WorkerPool], *, is_full: bool
) -> None:
    pool = start(worker_processes=2, worker_stream_buffer=BUFFER if is_full else 10 * BUFFER)
    reader, waiting = Reader(pool), Reader(pool)
    pool.spool_budget.limit = 0
    (worker,) = reactor.workers
    worker.become_ready()
    worker.say(*[PIECE] * 3)
    assert worker.output.is_read is not is_full
    worker.exit(9)
    ready(reactor)
    assert waiting.opened.called, "nobody need read first"
    assert reader.take() == PIECE * 3
    assert error(reader.reading()) == ENDED_TOO_EARLY
    reader.stream.close()


def test_a_stream_that_is_no_answer_costs_the_worker(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    reader = Reader(start())
    (worker,) = reactor.workers
    worker.become_ready()
    worker.protocol.outReceived(b"Traceback (most recent call last):\n")
    assert error(reader.reading()).startswith("the repository worker's answer is refused: ")
    assert worker.signals == ["KILL"]


def test_the_errors_of_a_stream_reach_its_reader(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    (worker,) = reactor.workers
    worker.become_ready()
    refused = Reader(pool)
    worker.fail(b"100%% wrong")
    assert error(refused.reading()) == "100% wrong"
    broken = Reader(pool)
    worker.say(PIECE)
    worker.fail(b"late")
    assert broken.take() == PIECE
    assert error(broken.reading()) == "late"


def test_a_pool_that_stops_refuses_streams_and_forgets_its_timers(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = slow_pool(start)
    running, waiting = Reader(pool), Reader(pool)
    (worker,) = reactor.workers
    worker.become_ready()
    fill(worker)
    left = Reader(pool)
    left.opened.cancel()
    _case.failureResultOf(left.opened, CancelledError)
    stopped = pool.stop()
    assert error(waiting.opened) == NOT_RUNNING
    assert error(Reader(pool).opened) == NOT_RUNNING
    running.stream.close()
    worker.exit()
    _case.successResultOf(stopped)
    assert reactor.getDelayedCalls() == []


# --- command data by hand ------------------------------------------------------------------------


class Upload:
    """Who sends command data."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def test_command_data_goes_to_the_worker_which_pauses_who_sends_it(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    reader = Reader(start(), permission=Permission.RW, has_data=True)
    (worker,) = reactor.workers
    worker.become_ready()
    upload: Any = Upload()
    reader.stream.watch_input(upload)
    worker.producer.pauseProducing()
    worker.producer.resumeProducing()
    assert upload.told == ["pause", "resume"]
    reader.stream.send_data(b"a" * 100_000)
    assert (worker.data, worker.data_ended) == (b"a" * 100_000, False)
    reader.stream.send_data(b"b", end=True)
    assert (worker.data, worker.data_ended) == (b"a" * 100_000 + b"b", True)
    assert worker.producer is None
    worker.answer(b"done")
    assert reader.take_all() == b"Ddone"


def test_a_worker_that_answers_before_it_has_all_data_is_told_the_end(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start()
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    (worker,) = reactor.workers
    worker.become_ready()
    reader.stream.watch_input(Upload())  # type: ignore[arg-type]
    reader.stream.send_data(b"some")
    worker.answer(b"no")
    assert (worker.data, worker.data_ended, worker.producer) == (b"some", True, None)
    reader.stream.send_data(b"more")
    assert reader.take_all() == b"Bno"
    reader.stream.close()
    next_one = Reader(pool, permission=Permission.RW, has_data=True)
    next_one.stream.watch_input(Upload())  # type: ignore[arg-type]
    next_one.stream.send_data(b"whole", end=True)
    assert (worker.data, worker.data_ended) == (b"whole", True)


def test_command_data_that_breaks_off_ends_its_worker_and_another_takes_its_place(
    reactor: FakeReactor, start: Callable[..., WorkerPool]
) -> None:
    pool = start(worker_processes=2)
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    (worker,) = reactor.workers
    worker.become_ready()
    reader.stream.watch_input(Upload())  # type: ignore[arg-type]
    reader.stream.send_data(b"some")
    reader.stream.close()
    assert (worker.input_closed, worker.data_ended, worker.producer) == (True, False, None)
    assert worker.signals == []
    answer = ask(pool)
    ready(reactor)
    reactor.workers[1].answer(b"value")
    assert result(answer) == b"value"
    worker.fail(b"it was cut off")
    worker.exit()
    reactor.advance(600.0)
    assert worker.signals == []
