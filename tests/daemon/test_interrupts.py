"""Ctrl-C is quiet at any moment: tools in processes of their own get SIGINT at several."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.environment import LOOPBACK, environment
from support.tools import start

from wiredaemon.daemon.interrupts import leave_signals, raised_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS: Final = """
from wiredaemon.commands import Permission, command


@command("endless", permission=Permission.RO)
def endless(context):
    while not context.cancelled:
        yield b"more"


@command("drain", permission=Permission.RO, has_data=True)
async def drain(context):
    yield b"begun"
    async for piece in context.data:
        pass
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("interrupts")
    file = folder / "commands.py"
    file.write_text(COMMANDS, encoding="utf-8")
    given = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        listen=["http", "framed"],
        load=[file],
    )
    with Daemon.start(given.replace("false", "true"), folder) as running:
        yield running


@pytest.fixture(params=["http", "hgrpc"])
def url(request: pytest.FixtureRequest, daemon: Daemon) -> str:
    kind: str = request.param
    return f"{kind}://{LOOPBACK}:{daemon.port('http' if kind == 'http' else 'framed')}/"


def interrupted(
    process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGINT
) -> tuple[int, bytes]:
    """Status and standard error of a process that is interrupted now."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_objects_come(url: str, number: signal.Signals) -> None:
    with start("call", url, "endless") as process:
        assert process.stdout is not None
        process.stdout.read(10)
        assert interrupted(process, number) == (130, b"")


def test_while_nobody_reads_the_output(url: str) -> None:
    with start("call", "--output", "raw", url, "endless") as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        # The pipe is full: the process waits in a write.
        while int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder) < size:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_while_data_is_waited_for(daemon: Daemon) -> None:
    url = f"hgrpc://{LOOPBACK}:{daemon.port('framed')}/"
    with start("call", "--data", "-", url, "drain") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"b'begun'\n"
        assert interrupted(process) == (130, b"")


@pytest.mark.parametrize("tool", ["call", "list", "describe", "ping", "bench"])
@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
def test_while_a_server_is_silent(tool: str, kind: str) -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as listener:
        listener.settimeout(60)
        url = f"{kind}://{LOOPBACK}:{listener.getsockname()[1]}/"
        words = [] if tool in {"list", "ping"} else ["heads"]
        with start(tool, url, *words) as process:
            connection, _ = listener.accept()
            with connection:
                assert interrupted(process) == (130, b"")


def test_while_many_calls_are_made(url: str) -> None:
    end, begin = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wiredaemon", "bench", "--seconds", "600", url, "capabilities"],
        env={**environment(), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=begin,
    )
    with process:
        os.close(begin)
        assert os.read(end, 100).startswith(b"calls: 1")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (130, b"")
        os.close(end)


FIRST: Final = """
import sys
sys.argv[0] = "wiredaemon"
from wiredaemon.__main__ import main
import builtins, os, signal
real = builtins.__import__
def interrupting(name, *rest, **more):
    if name == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest, **more)
builtins.__import__ = interrupting
sys.exit(main())
"""


LIST: Final = ("list", "hgrpc://127.0.0.1:1/")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("wiredaemon.daemon.cli", LIST),
        ("argparse", LIST),
        ("asyncio", LIST),
        ("wiredaemon.client.calls", LIST),
        ("httptools", LIST),
        ("wiredaemon.daemon.check", ("check-config", "nosuch.toml")),
        ("wiredaemon.daemon.doctor.examination", ("doctor", "--config", "nosuch.toml")),
        ("wiredaemon.debugtool.tool", ("debugwireproto", "http://127.0.0.1:1/")),
    ],
)
def test_while_the_program_is_imported(module: str, words: tuple[str, ...]) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", FIRST.format(module=module), *words],
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (130, b"", b"")


def test_while_a_password_is_asked_for() -> None:
    """The terminal shows again what is typed."""
    # In a session of its own, so that the terminal is that of the process.
    pid, end = pty.fork()
    if pid == 0:  # pragma: no cover another process
        words = ["list", "--user", "ann", "https://localhost:1/"]
        program = [sys.executable, "-m", "wiredaemon", *words]
        os.execve(program[0], program, environment())  # noqa: S606 as any program is started
    try:
        shown = b""
        while b"Password of ann" not in shown or not shown.endswith(b": "):
            shown += os.read(end, 1024)
        os.write(end, b"\x03")
        while True:
            try:
                piece = os.read(end, 1024)
            except OSError:  # the end of a terminal
                break
            shown += piece
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(end)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"Traceback" not in shown
    assert shown.replace(b"^C", b"").split() == b"Password of ann at localhost:1:".split()


def test_a_terminal_gets_a_new_line(url: str) -> None:
    end, begin = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wiredaemon", "call", url, "endless"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=begin,
    )
    with process:
        os.close(begin)
        assert process.stdout is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert os.read(end, 100) == b"\r\n"
        os.close(end)


def test_elsewhere_signals_are_left_alone() -> None:
    """In a process whose handlers are its own nothing changes."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    leave_signals()
    with raised_interrupts():
        assert signal.getsignal(signal.SIGINT) is before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
