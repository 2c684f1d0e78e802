"""A shell that lasts for a task, and the programs that are left running beside it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from tools.newcomer.matching import matches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

SECONDS: Final = 120.0
"""Until a line must have ended, or a program that is left running must have printed all."""

_LOOK: Final = 0.02
"""Seconds between two looks at what such a program has printed."""


class Terminal:
    """A shell: folders, variables and an activated environment last from line to line.

    Lines are given no input, as if nobody typed anything further.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],  # noqa: S607 found by name, as a user does
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._folder = folder
        self._left: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, line: str) -> str:
        """Run a line; return what it prints, and in brackets an exit status other than 0."""
        marker = "--- the end of a line: "
        shown = f"printf '\\n%s%d\\n' {shlex.quote(marker)} $?"
        printed = self._ask(f"eval {shlex.quote(line)} < /dev/null; {shown}", marker)
        text, _, status = printed.rpartition(marker)
        failed = status.strip() != "0"
        text = text.removesuffix("\n")
        return text + (f"[{status.strip()}]\n" if failed else "")

    def leave_running(self, line: str, expected: str) -> str:
        """Start a program; return its output once that is as expected, or the program has ended.

        It is ended by `close`, as Ctrl-C would, in the order opposite to that of the starts.
        """
        log = self._folder.with_name(f"{self._folder.name}.{len(self._left)}.log")
        log.touch()  # before the shell does it
        marker = "--- it runs as "
        command = line.strip()
        started = f"{command} < /dev/null > {shlex.quote(str(log))} 2>&1 & echo '{marker}'$!"
        process = int(self._ask(started, marker).rpartition(marker)[2])
        self._left.append(process)
        end = time.monotonic() + SECONDS
        while True:
            has_ended = not self._runs(process)
            printed = log.read_text("utf-8", errors="replace")
            if matches(expected, printed, goes_on=True) or has_ended or time.monotonic() > end:
                return printed
            time.sleep(_LOOK)

    def close(self) -> None:
        """End what was left running, and the shell."""
        for process in reversed(self._left):
            self.run(f"kill {process} 2> /dev/null; wait {process} 2> /dev/null; true")
        self._left.clear()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        try:
            self._shell.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
        if self._shell.stdout is not None:
            self._shell.stdout.close()

    def _runs(self, process: int) -> bool:
        return "no" not in self._ask(
            f"kill -0 {process} 2> /dev/null && echo =yes || echo =no", "="
        )

    def _ask(self, line: str, marker: str) -> str:
        """Type a line, and read up to and with the line that begins with a marker."""
        reader, writer = self._shell.stdout, self._shell.stdin
        if reader is None or writer is None:  # pragma: no cover
            raise ValueError("the shell has no pipes")
        writer.write(f"{line}\n")
        writer.flush()
        timer = threading.Timer(SECONDS, self._kill)
        timer.start()
        read = ""
        try:
            for printed in reader:
                read += printed
                if printed.startswith(marker):
                    return read
        finally:
            timer.cancel()
        return f"{read}\n{marker}the shell has ended, or the line took more than {SECONDS:.0f} s"

    def _kill(self) -> None:
        """End the shell and all that it has started: its session is its own."""
        os.killpg(self._shell.pid, signal.SIGKILL)
