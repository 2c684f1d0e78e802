"""The pool with real workers on real repositories."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_twisted
from support import signalled
from support.repositories import make_repository, run_hg, write_hgrc
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.fdesc import setNonBlocking
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from wiredaemon.commands import Permission, ServerError
from wiredaemon.net.workers.described import RepositoryUnavailableError
from wiredaemon.net.workers.pool import CANNOT_START, WorkerPool
from wiredaemon.net.workers.process import ENDED_TOO_EARLY
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.net.workers.worker_stream import StreamState
from wiredaemon.repository.web_calls import WEB, WebRequest
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from twisted.python.failure import Failure

    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.wire.values import Value

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the bound is Linux's")

NULL: Final = bytes(20)
EMPTY: Final = [NULL]

LARGE: Final = 30 * 1024 * 1024
PIPE: Final = 64 * 1024
"""Bytes that a pipe holds."""


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
    # The second one is started for those that need it.
    running = make_pool(worker_processes=2, worker_least=1)
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
    signalled.kill(int(await pid))
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
    await until(lambda: stream.state is StreamState.PAUSED)
    for _ in range(100):
        await next_turn()
    assert stream.state is StreamState.PAUSED
    signalled.kill(pids.last())
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
    await until(lambda: all(stream.state is StreamState.PAUSED for stream in streams))
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
    await until(lambda: stalled.state is StreamState.PAUSED)
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
    signalled.stop(pids.last())
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


def write_hook(repository: Path, body: str) -> None:
    """Let `pushkey` run lines of Python first."""
    hook = repository / "hook.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    hook.write_text(f"import mmap, os, resource\ndef run(ui, repo, **kw):\n{lines}")
    write_hgrc(repository, f"[hooks]\nprepushkey = python:{hook}:run\n")


MOST: Final = 300 * 1024 * 1024
OUT_OF_MEMORY: Final = "the command needs more memory than it may have (worker_memory_hard)"


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_command_that_needs_too_much_memory_fails_and_nothing_else(
    repository: Path,
) -> None:
    pool = make_pool(worker_processes=1, worker_memory_hard=MOST)
    write_hook(repository, f"bytearray({MOST})")
    with capturedLogs() as events:
        with pytest.raises(ServerError, match="needs more memory than it may have"):
            await push(pool, repository)
        assert await heads(pool, repository) == EMPTY
        await pool.stop()
    lines = [event["line"] for event in events if "line" in event]
    assert [each for each in lines if "memory" in each] == [f"{OUT_OF_MEMORY}: {MOST} bytes"]
    assert not [each for each in lines if "Traceback" in each]


@on_linux
@pytest_twisted.ensureDeferred
async def test_files_that_are_only_mapped_need_no_memory(repository: Path) -> None:
    pool = make_pool(worker_processes=1, worker_memory_hard=MOST)
    write_hook(
        repository,
        f"path = {str(repository / 'large')!r}\n"
        f"open(path, 'wb').truncate({4 * MOST})\n"
        "file = open(path, 'rb')\n"
        "assert mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)[-1] == 0",
    )
    assert await push(pool, repository) == [True, b""]
    await pool.stop()


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_worker_returns_the_memory_of_a_burst_when_it_is_idle(repository: Path) -> None:
    pool = make_pool(worker_processes=1)
    # What is kept lies behind what is freed, so that the C library keeps that too.
    write_hook(
        repository,
        "global kept, pid\n"
        "pieces = [bytes(100_000) for _ in range(2000)]\n"
        "kept = pieces[::100] + pieces[-1:]\n"
        "open(os.path.join(os.path.dirname(__file__), 'pid'), 'w').write(str(os.getpid()))",
    )
    assert await push(pool, repository) == [True, b""]
    memory = ResidentMemory(int((repository / "pid").read_text()))
    grown = memory.read()
    from twisted.internet import reactor  # noqa: PLC0415 pytest-twisted has installed it

    while memory.read() > grown - 100 * 1024 * 1024:
        await deferLater(reactor, 0.05)
    memory.close()
    await pool.stop()


EXTENSION: Final = """
from mercurial import wireprotov1server
@wireprotov1server.wireprotocommand(b"ours", b"", permission=b"pull")
def ours(repo, proto):
    return b"ours"
"""


async def has_command(pool: WorkerPool, repository: Path) -> bool:
    """Return whether a repository has the command of the extension."""
    description = await pool.describe(os.fsencode(repository))
    commands = description[b"version1"]
    assert isinstance(commands, dict)
    return b"ours" in commands


@pytest.mark.parametrize("workers", [1, 3])
@pytest_twisted.ensureDeferred
async def test_extensions_of_one_repository_are_not_active_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("HGRCPATH", "")
    extension = tmp_path / "ours.py"
    extension.write_text(EXTENSION)
    plain, extended, other = (make_repository(tmp_path / name) for name in ("a", "b", "c"))
    write_hgrc(extended, f"[extensions]\nours = {extension}\n")
    write_hgrc(other, f"[extensions]\nours = !{extension}\n")
    pool = make_pool(worker_processes=workers)
    for _ in range(2):
        for repository in (extended, plain, other):
            assert await has_command(pool, repository) is (repository == extended)
            assert await heads(pool, repository) == EMPTY
    # A configuration that changes counts at once, whatever was known of it.
    write_hgrc(other, f"[extensions]\nours = {extension}\n")
    assert await heads(pool, other) == EMPTY
    assert await has_command(pool, other)
    assert not await has_command(pool, plain)
    await pool.stop()
