"""Server processes: each is started once, on the servers' core, and ended by its id."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from benchmarks.cpu import SERVER_CORE, on_core
from benchmarks.errors import BenchmarkError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

ROOT: Final = Path(__file__).resolve().parents[1]
"""The project's folder."""

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
_LOG_SHOWN: Final = 2000
"""The number of characters of a log's end that an error shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A server that can be started; programs of one name are started once and shared."""

    name: str
    command: Callable[[Path], Sequence[str]]
    """Prepares an empty folder, where the process will run, and returns the command line."""
    port: re.Pattern[str] = re.compile(r"^port (\d+)$", re.MULTILINE)
    """Matches the output of a server that listens; the first group is the port."""
    ready: str = ""
    """A further text in the output of a server that is ready."""
    root: Path | None = None
    """The checkout whose daemon it is; None for peers."""
    unavailable: str | None = None
    """The output of a version that cannot do what is measured: it is left out, with its log."""


class Server:
    """A running server."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
        self._program = program
        self._process = process
        self._log = log
        self.port = 0

    @property
    def pid(self) -> int:
        """The process id of the server itself; it may have children."""
        return self._process.pid

    @property
    def log(self) -> str:
        """The end of the server's output."""
        return self._log.read_text(encoding="utf-8", errors="backslashreplace")[-_LOG_SHOWN:]

    def wait(self) -> None:
        """Wait until the server is ready, and note its port.

        Raises:
            UnavailableError: This version cannot do what is measured.
            BenchmarkError: The server ended, or took too long.
        """
        end = time.monotonic() + _START_SECONDS
        while True:
            ended = self._process.poll() is not None
            text = self._log.read_text(encoding="utf-8", errors="backslashreplace")
            found = self._program.port.search(text)
            # A program may listen before it is ready: the port alone is not enough.
            if found and self._program.ready in text and not ended:
                self.port = int(found[1])
                return
            if ended or time.monotonic() > end:
                unavailable = self._program.unavailable
                if unavailable is not None and unavailable in text:
                    raise UnavailableError(unavailable)
                raise BenchmarkError(f"{self._program.name} did not start:\n{self.log}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server, and wait until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # A server that hangs must not keep the other measurements from running.
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class Servers:
    """The running servers; a context manager that ends them all."""

    folder: Path
    """An empty folder, in which each server gets one of its own."""
    _running: dict[str, Server] = field(default_factory=dict)
    _started: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._running.values():
            server.stop()

    def shared(self, program: Program) -> Server:
        """Return the server of a program, starting it at its first use."""
        if program.name not in self._running:
            self._running[program.name] = self.start(program)
        return self._running[program.name]

    def start(self, program: Program) -> Server:
        """Start a server for the caller alone, which must stop it.

        Raises:
            UnavailableError: This version cannot do what is measured.
            BenchmarkError: The server did not start, or is not the checkout's own daemon.
        """
        self._started += 1
        folder = self.folder / str(self._started)
        folder.mkdir(parents=True)
        log = folder / "log"
        if program.root is not None:
            _check_imported(program.root, folder)
        command = program.command(folder)
        with log.open("wb") as output, on_core(SERVER_CORE):
            server = Server(program, _popen(command, folder, output, program.root), log)
        try:
            server.wait()
        except BaseException:
            server.stop()
            raise
        return server


def environment(root: Path | None = None) -> dict[str, str]:
    """Return an environment for servers: no user's hgrc is read, and the project can be imported.

    Args:
        root: The checkout that `wiredaemon` is imported from; None for this one.
    """
    # The checkout first: it hides this one's package, whose `benchmarks` are still found.
    path = [str(root or ROOT), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "HGPLAIN": "1",
        "HGRCPATH": "",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
    }


def _check_imported(root: Path, folder: Path) -> None:
    """Check that a server imports the `wiredaemon` of its checkout.

    If the installed one were imported instead, a checkout would be compared with itself.

    Raises:
        BenchmarkError: The server would import another one.
    """
    done = subprocess.run(
        [sys.executable, "-c", "import wiredaemon; print(wiredaemon.__file__)"],
        cwd=folder,
        env=environment(root),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = Path(done.stdout.strip()).resolve()
    if not imported.is_relative_to(root.resolve()):
        raise BenchmarkError(f"the daemon of {root} would be that of {imported}")


def _popen(
    command: Sequence[str], folder: Path, output: IO[bytes], root: Path | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(root),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
