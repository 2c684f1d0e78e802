"""A real `twistd wiredaemon` in a process of its own, on loopback ports that the system chose.

Nothing here waits by sleeping: a start, a log line and the end are each waited for until they come
or a deadline passes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import threading
import time
from typing import TYPE_CHECKING, Final

from support.environment import environment
from support.raw_http import RawConnection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

DEADLINE: Final = 60.0
"""Seconds for a start, a stop or a log line before the test fails."""

READY: Final = re.compile(r"wiredaemon is ready")
LISTENING: Final = re.compile(
    r"\b(?P<name>[a-z_]+) listening on [a-z+]+://(?P<address>[^/\s]+):(?P<port>\d+)"
)


class DaemonError(Exception):
    """The daemon did not do what was waited for; the text ends with all it has logged."""


class Daemon:
    """A running `twistd wiredaemon`; made by `Daemon.start`, ended by `stop` or by `with`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Follow a process that was just started; `start` is the way to get one.

        Args:
            process: Its standard output and error are one text pipe.
        """
        self._process = process
        self._grown = threading.Condition()
        self._log: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._follow, name="daemon log", daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls,
        configuration: str,
        folder: Path,
        *,
        deadline: float = DEADLINE,
        within: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Self:
        """Start a daemon and wait until it is ready.

        Args:
            configuration: The text of its configuration, whose listeners use `ANY_PORT`.
            folder: The folder of the configuration and of the process; it exists.
            deadline: Seconds until the log must say that it is ready.
            within: A command that runs the one behind it in the same process, as of `mounts`.
            variables: Further variables of its environment.

        Raises:
            DaemonError: It ended or was not ready in time; the process is gone.
        """
        file = folder / "wiredaemon.toml"
        file.write_text(configuration, encoding="utf-8")
        twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
        if twistd is None:
            raise DaemonError(f"no twistd in {sysconfig.get_path('scripts')}")
        daemon = cls(
            subprocess.Popen(
                [*within, twistd, "--nodaemon", "--pidfile=", "wiredaemon", "--config", str(file)],
                cwd=folder,
                env={**environment(), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
            )
        )
        try:
            daemon.wait_for_log(READY, deadline=deadline)
        except BaseException:
            daemon.stop()
            raise
        return daemon

    def __enter__(self) -> Self:
        """Return the daemon, which `start` has made ready."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the daemon; with an error on its way out, add its log to it."""
        self.stop()
        if error is not None:
            error.add_note(f"the daemon's log:\n{self.log}")

    @property
    def pid(self) -> int:
        """The process id of the daemon itself; its workers are its children."""
        return self._process.pid

    @property
    def log(self) -> str:
        """All it has logged so far."""
        with self._grown:
            return "".join(self._log)

    @property
    def exit_code(self) -> int | None:
        """As of `subprocess`: `None` while it runs, negative for the signal that ended it."""
        return self._process.poll()

    def ports(self, name: str) -> list[int]:
        """The ports of one kind of listener (`http`, `https`, `framed`, ...), as logged."""
        return [
            int(found["port"]) for found in LISTENING.finditer(self.log) if found["name"] == name
        ]

    def port(self, name: str = "http") -> int:
        """The port of the one listener of a kind.

        Raises:
            DaemonError: There is none, or more than one.
        """
        ports = self.ports(name)
        if len(ports) != 1:
            raise self._error(f"the log names {ports} as the ports of {name}")
        return ports[0]

    def wait_for_log(
        self, pattern: str | re.Pattern[str], *, after: int = 0, deadline: float = DEADLINE
    ) -> re.Match[str]:
        """Wait until a line of the log matches, and return the match.

        Args:
            pattern: Searched for in each line.
            after: The number of lines to skip: `lines_logged()` of an earlier moment.
            deadline: Seconds until the line must have come.

        Raises:
            DaemonError: The daemon ended, or the deadline passed.
        """
        end = time.monotonic() + deadline
        with self._grown:
            while True:
                for line in self._log[after:]:
                    match = re.search(pattern, line)
                    if match is not None:
                        return match
                after = max(after, len(self._log))
                if self._ended:
                    raise self._error(f"the daemon ended before it logged {pattern!r}")
                if not self._grown.wait(end - time.monotonic()):
                    raise self._error(f"in {deadline} s the daemon did not log {pattern!r}")

    def lines_logged(self) -> int:
        """The number of lines in the log so far, for `wait_for_log`."""
        with self._grown:
            return len(self._log)

    def connect(self, name: str = "http", *, tls: ssl.SSLContext | None = None) -> RawConnection:
        """Connect to the one listener of a kind.

        Args:
            name: The kind of listener.
            tls: As `trusting` gives it, for `https` and `framed_tls`.
        """
        return RawConnection(self.port(name), tls=tls)

    def wait(self, *, deadline: float = DEADLINE) -> int:
        """Wait until the process has ended, by itself or by a signal, and give its exit code.

        Raises:
            DaemonError: It did not end in time; it runs on.
        """
        try:
            code = self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise self._error(f"the daemon did not end within {deadline} s") from None
        self._reader.join(deadline)
        return code

    def stop(self, *, deadline: float = DEADLINE) -> int:
        """End the process as an operator would, wait for it and give its exit code.

        May be called again, and after the process has ended by itself.

        Raises:
            DaemonError: It did not end in time and was killed.
        """
        late = False
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            late = True
            self._process.kill()
            self._process.wait()
        self._reader.join(deadline)
        if late:
            raise self._error(f"the daemon did not end within {deadline} s and was killed")
        if self._reader.is_alive():
            raise self._error("the daemon has ended, but someone holds its standard output")
        return self._process.returncode

    def _follow(self) -> None:
        output = self._process.stdout
        if output is not None:
            with output:
                for line in output:
                    with self._grown:
                        self._log.append(line)
                        self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def _error(self, what: str) -> DaemonError:
        return DaemonError(f"{what}; its log:\n{self.log}")
