"""The log of commands and logins that crash: with tracebacks, but only few of them.

A peer may cause any number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wiredaemon.net.repeated_lines import RepeatedLines

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from wiredaemon.net.repeated_lines import Reactor

_log: Final = Logger()


class CrashLog:
    """Logs exceptions of commands and logins; those of one place that repeat are counted.

    Args:
        reactor: The reactor, for the timer.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._lines = RepeatedLines(reactor, _log_repeated)

    def log(self, failure: Failure, command: str, peer: str) -> None:
        """Log an exception with its traceback, unless the same came often enough in this minute.

        Args:
            failure: The exception.
            command: The name of the command that raised it.
            peer: The peer whose request it was.
        """
        # Without the exception's own text, which a peer may choose anew for each request.
        if self._lines.is_new(f"command {command} failed: {_kind(failure)}{_place(failure)}"):
            _log.failure("command {command} failed for {peer}", failure, command=command, peer=peer)

    def log_login(self, failure: Failure, who: str) -> None:
        """Log an exception of a program's function for logins, as one of a command.

        Args:
            failure: The exception.
            who: What was asked for, in words.
        """
        if self._lines.is_new(f"a login could not be checked: {_kind(failure)}{_place(failure)}"):
            _log.failure("the login of {who} could not be checked", failure, who=who)

    def stop(self) -> None:
        """Log what was counted, and leave no timer."""
        self._lines.stop()


def _kind(failure: Failure) -> str:
    return type(failure.value).__name__


def _place(failure: Failure) -> str:
    """Return the innermost line of the traceback; nothing if there is none."""
    traceback = failure.getTracebackObject()
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f" at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


def _log_repeated(line: str) -> None:
    _log.error("{line}", line=line)
