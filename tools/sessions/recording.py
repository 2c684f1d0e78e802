"""Runs shell lines on a terminal and records what they show, with escapes for colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COLUMNS: Final = 104
"""The width of the terminal; longer lines go on in the next row."""
ROWS: Final = 60
# What a bar erases, from the front of its line on.
_ERASED: Final = re.compile(r"[^\n]*\r\x1b\[K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A shell line of a session."""

    words: str
    until: str | None = None
    """It is interrupted as by Ctrl-C when this is shown, with the picture of that moment; None lets
    it end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where lines are run, and what is shown in place of what they print."""

    folder: Path
    variables: Mapping[str, str]
    shown: Mapping[str, str]
    """The placeholder for each text of this machine and this run; lines have placeholders too."""

    def record(self, line: Line) -> str:
        """Run a line on a terminal of its own, and return what it shows."""
        words = line.words
        for real, shown in self.shown.items():
            words = words.replace(shown, real)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        with subprocess.Popen(
            ["bash", "-c", words],  # noqa: S607 the shell of the reader
            cwd=self.folder,
            env={**self.variables, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            seen = _read(ours, line.until)
            if line.until is not None:
                os.killpg(process.pid, signal.SIGINT)
                _read(ours, None)
        os.close(ours)
        text = _ERASED.sub("", seen.decode())
        for real, shown in self.shown.items():
            text = text.replace(real, shown)
        return text.replace("\r\n", "\n")


def _read(terminal: int, until: str | None) -> bytes:
    """Read until a text has come, or to the end."""
    seen = b""
    while until is None or until.encode() not in seen:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            # How Linux says that no program has the terminal open any more.
            break
        if not data:
            break
        seen += data
    return seen
