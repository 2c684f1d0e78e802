"""The real worker program over pipes, with our own client's side of the protocol."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import environment

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.protocol import (
    ClientConnection,
    RequestFailed,
    ResponseDataReceived,
    ResponseReader,
)
from wiredaemon.protocol.objects import ResponseError
from wiredaemon.repository.worker_calls import (
    DESCRIBE,
    READY,
    UNAVAILABLE,
    WORKER_MODULE,
    CallContext,
)
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import IndefiniteBytes
from wiredaemon.worker.program import FAILED, INCOMPLETE, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from worker.conftest import Repository

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.program import CommandBody, Run

DEADLINE: Final = 60.0
COMMAND: Final = (sys.executable, "-P", "-W", "error", "-m", WORKER_MODULE)


class RunningWorker:
    """A worker program, asked one command after the other."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        self._connection = ClientConnection()

    def send(
        self,
        command: bytes,
        arguments: Mapping[bytes, Value] | None = None,
        extra: Mapping[bytes, Value] | None = None,
    ) -> None:
        self._connection.send_command(command, arguments or {}, extra=extra)
        frames = self._connection.data_to_send()
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(part for frame in frames for part in frame))
        self.process.stdin.flush()

    def answer(self) -> object:
        """The one value that answers, a `ResponseError`, or a `RequestFailed`."""
        assert self.process.stdout is not None
        reader, values = ResponseReader(Limits()), list[object]()
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, self.stop()
            for event in self._connection.receive_data(data):
                match event:
                    case ResponseDataReceived():
                        values += reader.receive_data(event.data)
                        if event.end:
                            return reader.error or values.pop()
                    case _:
                        return event

    def call(
        self,
        repository: Repository,
        command: bytes,
        arguments: Mapping[bytes, Value] | None = None,
        *,
        user: str | None = None,
        permission: Permission = Permission.RO,
    ) -> object:
        context = CallContext(repository=repository.path, user=user, permission=permission)
        self.send(command, arguments, context.encode())
        return self.answer()

    def push_bookmark(self, repository: Repository, name: bytes, **more: str) -> object:
        arguments = {
            b"namespace": b"bookmarks",
            b"key": name,
            b"old": b"",
            b"new": b"0" * 40,
        }
        return self.call(
            repository, b"pushkey", arguments, permission=Permission.RW, user=more.get("user")
        )

    def stop(self) -> bytes:
        """End its input; what it has printed."""
        _, printed = self.process.communicate(timeout=DEADLINE)
        return printed


@pytest.fixture
def worker() -> Iterator[RunningWorker]:
    running = RunningWorker()
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


def failed(text: bytes, request_id: int = 1) -> RequestFailed:
    return RequestFailed(request_id=request_id, kind=b"server", message=text)


def test_it_says_that_it_is_ready_with_the_version_of_the_library(worker: RunningWorker) -> None:
    worker.send(READY)
    version = worker.answer()
    assert isinstance(version, bytes)
    assert version.startswith(b"7.2")


def test_every_value_command_is_answered(worker: RunningWorker, history: Repository) -> None:
    nodes = history.nodes
    assert worker.call(history, b"heads", {b"publiconly": False}) == [nodes[7], nodes[6]]
    assert worker.call(history, b"known", {b"nodes": [nodes[0], nodes[8]]}) == b"10"
    assert worker.call(history, b"lookup", {b"key": b"main"}) == nodes[4]
    branches = worker.call(history, b"branchmap")
    assert isinstance(branches, dict)
    assert branches["café".encode()] == [nodes[3]]
    assert worker.call(history, b"listkeys", {b"namespace": b"bookmarks"}) == {
        b"main": history.hex(4),
        "naïve".encode(): history.hex(1),
    }
    assert worker.call(history, b"clonebundles") == b""
    assert worker.push_bookmark(history, b"new") == [True, b""]
    assert worker.stop() == b""


def test_describe_is_answered(worker: RunningWorker, empty: Repository) -> None:
    description = worker.call(empty, DESCRIBE)
    assert isinstance(description, dict)
    assert description[b"compression"] == [b"zstd", b"zlib"]
    assert description[b"stream_allowed"] is True


def test_a_repository_that_is_missing_is_described_by_its_reason(
    worker: RunningWorker, empty: Repository
) -> None:
    gone = type(empty)(folder=empty.folder / "gone")
    reason = gone.path + b": no Mercurial repository here"
    expected = ResponseError(message=UNAVAILABLE, arguments=[reason])
    assert worker.call(gone, DESCRIBE) == expected
    assert worker.call(gone, b"heads") == failed(b"repository is not available", 3)
    assert worker.call(empty, b"heads") == [bytes(20)]
    # The reason that `describe` gives is logged by the daemon, once.
    assert worker.stop() == reason + b"\n"


def test_a_refused_command_is_a_server_error_and_the_next_is_answered(
    worker: RunningWorker, empty: Repository
) -> None:
    assert worker.call(empty, b"lookup", {b"key": b"zz"}) == failed(b"unknown revision 'zz'")
    assert worker.call(empty, b"heads") == [bytes(20)]
    assert worker.stop() == b""


def test_a_hook_that_prints_and_reads_does_not_break_the_frames(
    worker: RunningWorker, empty: Repository
) -> None:
    hook = empty.folder / "hook.py"
    hook.write_text(
        "import os, sys, subprocess\n"
        "def run(ui, repo, **kw):\n"
        "    print('printed by python')\n"
        "    os.write(1, b'written to 1\\n')\n"
        "    subprocess.run(['sh', '-c', 'echo from a program; cat'], check=True)\n"
        "    assert sys.stdin.read() == ''\n"
    )
    empty.hgrc.write_text(f"[hooks]\nprepushkey = python:{hook}:run\n")
    assert worker.push_bookmark(empty, b"one") == [True, b""]
    assert worker.call(empty, b"heads") == [bytes(20)]
    printed = worker.stop()
    assert sorted(printed.splitlines()) == [
        b"from a program",
        b"printed by python",
        b"written to 1",
    ]


@pytest.mark.parametrize("statement", ["raise SystemExit(3)", "1 / 0"])
def test_whatever_a_hook_raises_costs_only_its_command(
    worker: RunningWorker, empty: Repository, statement: str
) -> None:
    hook = empty.folder / "hook.py"
    hook.write_text(f"def run(ui, repo, **kw):\n    {statement}\n")
    empty.hgrc.write_text(f"[hooks]\nprepushkey = python:{hook}:run\n")
    answer = worker.push_bookmark(empty, b"one")
    assert isinstance(answer, RequestFailed)
    assert hook.name.encode() not in answer.message
    assert worker.call(empty, b"heads") == [bytes(20)]


def test_an_interrupt_inside_a_command_is_answered_and_ends_the_worker(
    worker: RunningWorker, empty: Repository
) -> None:
    hook = empty.folder / "hook.py"
    hook.write_text("def run(ui, repo, **kw):\n    raise KeyboardInterrupt\n")
    empty.hgrc.write_text(f"[hooks]\nprepushkey = python:{hook}:run\n")
    assert worker.push_bookmark(empty, b"one") == failed(FAILED)
    # Whatever its hooks have started is killed with it.
    assert worker.process.wait(DEADLINE) == -signal.SIGKILL
    assert b"KeyboardInterrupt" in worker.stop()


def test_a_hook_is_told_who_asks_and_only_of_him(worker: RunningWorker, empty: Repository) -> None:
    empty.hgrc.write_text('[hooks]\nprepushkey = echo "user=$REMOTE_USER"\n')
    assert worker.push_bookmark(empty, b"one", user="alice") == [True, b"user=alice\n"]
    assert worker.push_bookmark(empty, b"two") == [True, b"user=\n"]


def test_a_write_needs_the_permission_for_it(worker: RunningWorker, empty: Repository) -> None:
    answer = worker.call(empty, b"pushkey", {}, permission=Permission.RO)
    assert answer == failed(b"pushkey needs the permission rw")


def test_an_unknown_command_and_a_missing_context_are_command_errors(
    worker: RunningWorker, empty: Repository
) -> None:
    no_command = ResponseError(message=b"the worker has no such command")
    no_context = ResponseError(message=b"the request has no proper context")
    answer = worker.call(empty, b"nothing")
    assert isinstance(answer, ResponseError)
    assert answer.message == no_command.message
    worker.send(b"heads")
    answer = worker.answer()
    assert isinstance(answer, ResponseError)
    assert answer.message == no_context.message


def test_more_repositories_than_are_kept_open_are_served(
    worker: RunningWorker, empty: Repository
) -> None:
    for number in range(20):
        copy = type(empty)(folder=empty.folder.with_name(f"copy{number}"))
        copy.folder.symlink_to(empty.folder)
        assert worker.call(copy, b"heads") == [bytes(20)]
    assert worker.call(empty, b"heads") == [bytes(20)]


def test_it_ends_at_the_end_of_its_input(worker: RunningWorker) -> None:
    assert worker.stop() == b""
    assert worker.process.returncode == 0


def test_it_goes_on_when_a_terminal_interrupts_it(worker: RunningWorker, empty: Repository) -> None:
    assert worker.call(empty, b"heads") == [bytes(20)]
    worker.process.send_signal(signal.SIGINT)
    assert worker.call(empty, b"heads") == [bytes(20)]


def test_it_ends_in_silence_when_it_is_terminated(worker: RunningWorker, empty: Repository) -> None:
    assert worker.call(empty, b"heads") == [bytes(20)]
    worker.process.terminate()
    # Whatever its hooks have started is killed with it.
    assert worker.process.wait(DEADLINE) == -signal.SIGKILL
    assert worker.stop() == b""


def test_it_ends_and_says_so_when_its_input_is_no_protocol(worker: RunningWorker) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
    worker.process.stdin.flush()
    assert worker.process.wait(DEADLINE) == 0
    assert b"the daemon broke the protocol: " in worker.stop()


def test_without_mercurial_it_says_so_in_one_line() -> None:
    program = (
        "import sys, runpy; sys.modules['mercurial'] = None; "
        f"runpy.run_module({WORKER_MODULE!r}, run_name='__main__')"
    )
    finished = subprocess.run(
        [sys.executable, "-P", "-c", program],
        input=b"",
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert finished.returncode == 1
    assert finished.stdout == b""
    assert finished.stderr.startswith(b"the package mercurial cannot be loaded: ")
    assert finished.stderr.count(b"\n") == 1


def test_a_context_comes_out_as_it_went_in() -> None:
    context = CallContext(repository=b"/r\xff", user="café", permission=Permission.RW)
    assert CallContext.parse(context.encode()) == context


@pytest.mark.parametrize(
    "extra", [{}, {b"context": None}, {b"context": {b"repository": b"/r", b"user": None}}]
)
def test_a_context_that_is_none_is_refused(extra: dict[bytes, object]) -> None:
    with pytest.raises(CommandError, match="no proper context"):
        CallContext.parse(extra)


# --- the loop, with commands of our own --------------------------------------------------------


@dataclass
class Looped:
    """A worker's loop on what it is sent, which all has come before it begins."""

    folder: Path
    run: Run

    def __post_init__(self) -> None:
        self.client = ClientConnection()
        self.sent = self.folder / "sent"

    def ask(
        self, command: bytes, data: Sequence[bytes] | None = None, *, is_whole: bool = True
    ) -> None:
        request_id = self.client.send_command(command, {}, has_data=data is not None)
        for piece in data or ():
            self.client.send_data(request_id, piece)
        if data is not None and is_whole:
            self.client.send_data(request_id, b"", end=True)

    def serve(self) -> list[object]:
        """What is said of each request, in order: its objects, then its error or the end."""
        asked = self.folder / "asked"
        frames = self.client.data_to_send()
        asked.write_bytes(b"".join(part for frame in frames for part in frame))
        with asked.open("rb", buffering=0) as source, self.sent.open("wb", buffering=0) as sink:
            Worker(source.fileno(), sink.fileno(), self.run).serve()
        said: list[object] = []
        readers: dict[int, ResponseReader] = {}
        for event in self.client.receive_data(self.sent.read_bytes()):
            match event:
                case ResponseDataReceived():
                    reader = readers.setdefault(event.request_id, ResponseReader(Limits()))
                    said += reader.receive_data(event.data)
                    if event.end:
                        said.append(reader.error or "end")
                case _:
                    said.append(event)
        return said


class Commands:
    """What the tests of the loop run."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(
        self, command: object, _: object, __: Mapping[bytes, object], body: CommandBody
    ) -> Iterator[Value]:
        assert isinstance(command, bytes)
        yield from getattr(self, command.decode())(body)

    def several(self, _: CommandBody) -> Iterator[Value]:
        yield b"one"
        yield [2, {b"three": None}]
        yield b"4" * 100_000

    def nothing(self, _: CommandBody) -> Iterator[Value]:
        yield from ()

    def refuse(self, _: CommandBody) -> Iterator[Value]:
        yield from ()
        raise CommandError(b"%s refused", [b"it"])

    def refuse_late(self, _: CommandBody) -> Iterator[Value]:
        yield b"object"
        raise CommandError(b"100%% of %s refused", [b"it"])

    def fail_late(self, _: CommandBody) -> Iterator[Value]:
        yield b"object"
        raise ServerError("broke")

    def crash_late(self, _: CommandBody) -> Iterator[Value]:
        yield b"object"
        raise ZeroDivisionError

    def unencodable(self, _: CommandBody) -> Iterator[Value]:
        yield b"object"
        yield 1.5  # type: ignore[misc]

    def echo(self, body: CommandBody) -> Iterator[Value]:
        while piece := body.read(10):
            self.read.append(piece)
            yield piece

    def read_all(self, body: CommandBody) -> Iterator[Value]:
        self.read.append(body.read())
        yield len(self.read[-1])

    def read_some(self, body: CommandBody) -> Iterator[Value]:
        self.read.append(body.read(3))
        yield self.read[-1]


@pytest.fixture
def looped(tmp_path: Path) -> Looped:
    return Looped(tmp_path, Commands())


def test_objects_are_sent_one_after_the_other(looped: Looped) -> None:
    looped.ask(b"several")
    looped.ask(b"nothing")
    looped.ask(b"several")
    objects = [b"one", [2, {b"three": None}], b"4" * 100_000, "end"]
    assert looped.serve() == [*objects, "end", *objects]


def test_an_error_in_front_of_objects_is_a_command_error(looped: Looped) -> None:
    looped.ask(b"refuse")
    looped.ask(b"nothing")
    refused = ResponseError(message=b"%s refused", arguments=[b"it"])
    assert looped.serve() == [refused, "end"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (b"refuse_late", b"100% of it refused"),
        (b"fail_late", b"broke"),
        (b"crash_late", FAILED),
        (b"unencodable", FAILED),
    ],
)
def test_an_error_behind_objects_is_an_error_frame_and_the_next_command_runs(
    looped: Looped, command: bytes, text: bytes
) -> None:
    looped.ask(command)
    looped.ask(b"nothing")
    *objects, failure, end = looped.serve()
    assert set(objects) <= {b"object"}
    assert (failure, end) == (failed(text), "end")


def test_command_data_is_read_in_the_sizes_asked_for(looped: Looped) -> None:
    looped.ask(b"echo", [b"0123456", b"789abcd", b"efg"])
    assert looped.serve() == [b"0123456789", b"abcdefg", "end"]


def test_all_command_data_is_read_at_once(looped: Looped) -> None:
    looped.ask(b"read_all", [bytes(50_000), bytes(50_000)])
    looped.ask(b"read_all", [])
    looped.ask(b"read_all")
    assert looped.serve() == [100_000, "end", 0, "end", 0, "end"]


def test_command_data_that_a_command_leaves_is_not_the_next_one_s(looped: Looped) -> None:
    looped.ask(b"read_some", [b"abcdef"] * 10_000)
    looped.ask(b"refuse", [b"abcdef"] * 10)
    looped.ask(b"read_some", [b"ghi"])
    refused = ResponseError(message=b"%s refused", arguments=[b"it"])
    assert looped.serve() == [b"abc", "end", refused, b"ghi", "end"]


@pytest.mark.parametrize("command", [b"read_all", b"echo"])
def test_command_data_that_breaks_off_is_never_taken_for_whole(
    looped: Looped, command: bytes
) -> None:
    looped.ask(command, [b"0123456789", b"abc"], is_whole=False)
    *_, failure = looped.serve()
    assert failure == failed(INCOMPLETE)
    assert isinstance(looped.run, Commands)
    assert looped.run.read in ([], [b"0123456789"])


@pytest.mark.parametrize("kind", ["objects", "pieces"])
def test_a_large_answer_is_not_held(tmp_path: Path, kind: str) -> None:
    size, held = 100_000, list[int]()

    def run(
        _: object, __: object, ___: Mapping[bytes, object], ____: CommandBody
    ) -> Iterator[Value]:
        def pieces() -> Iterator[bytes]:
            for number in range(50):
                held.append(number * size - loop.sent.stat().st_size)
                yield bytes(size)

        if kind == "objects":
            yield from pieces()
        else:
            yield IndefiniteBytes(pieces())

    loop = Looped(tmp_path, run)
    loop.ask(b"any")
    *_, end = loop.serve()
    assert end == "end"
    assert loop.sent.stat().st_size > 50 * size
    assert max(held) <= 256 * 1024 + size


def test_a_repository_that_a_hook_left_by_exiting_is_opened_anew(
    worker: RunningWorker, history: Repository, tmp_path: Path
) -> None:
    hook = tmp_path / "hook.py"
    hook.write_text(
        "from mercurial import error\n"
        "def leave(ui, **_):\n"
        "    if ui.config(b'left', b'behind'):\n"
        "        raise error.Abort(b'as it was left')\n"
        "    ui.setconfig(b'left', b'behind', b'yes', b'test')\n"
        "    raise SystemExit\n"
    )
    history.hgrc.write_text(f"[hooks]\nprelistkeys = python:{hook}:leave\n")
    for request_id in (1, 3):
        answer = worker.call(history, b"listkeys", {b"namespace": b"bookmarks"})
        assert answer == failed(FAILED, request_id)
