"""The standard error of a worker: what it, Mercurial, extensions and hooks print, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wiredaemon.net.repeated_lines import shortened

if TYPE_CHECKING:
    from wiredaemon.net.repeated_lines import RepeatedLines

_LONGEST_LINE: Final = 16384
"""Bytes of a line that are held before they are logged without their end.

A hook may print without ever ending a line, and what is held costs the daemon memory. Lines of this
length are longer than any that Mercurial itself prints.
"""

_log = Logger()


class ErrorOutput:
    """Logs each line that a worker prints.

    Args:
        pid: The worker's process id, for the log.
        repeated: Counts lines of all workers that repeat.
    """

    def __init__(self, pid: int, repeated: RepeatedLines) -> None:
        self._pid = pid
        self._repeated = repeated
        self._held = bytearray()
        """The beginning of a line whose end has not come."""
        self.last_line = ""
        """The last line that was not empty: it often says why a worker died."""

    def receive_data(self, data: bytes) -> None:
        """Log the lines that ``data`` completes."""
        self._held += data
        *lines, rest = self._held.split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], bytearray()
        self._held = rest
        for line in lines:
            self._log_line(line)

    def receive_end(self) -> None:
        """Log what had no line end."""
        line, self._held = self._held, bytearray()
        if line:
            self._log_line(line)

    def _log_line(self, line: bytearray) -> None:
        shown = line.decode("utf-8", "backslashreplace").rstrip("\r")
        shown = shortened(shown)
        self.last_line = shown or self.last_line
        # Lines of a traceback, which are indented, are bounded by the worker as a whole.
        if shown.startswith(" ") or self._repeated.is_new(shown):
            _log.info("repository worker {pid}: {line}", pid=self._pid, line=shown)


def log_repeated(text: str) -> None:
    """Log how often workers have printed a line that was not logged."""
    _log.info("repository workers: {line}", line=text)
