"""Signals to the daemon: SIGHUP reloads, SIGUSR1 opens the log files again.

SIGTERM and SIGINT are Twisted's: the reactor stops, and with it the service. `stopping` handles
further ones. Twisted handles none before the reactor runs: a SIGTERM that comes earlier waits here.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.twisted_internals import log_files

if TYPE_CHECKING:
    from collections.abc import Callable

_log: Final = Logger()


class Signals:
    """The handlers of one daemon, which must run in the process's main thread.

    Args:
        reactor: Calls what a signal asks for: a handler itself may interrupt anything.
        reload: Called at SIGHUP, after the log files.
    """

    def __init__(self, reactor: Any, reload: Callable[[], object]) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._reload = reload

    def handle(self) -> None:
        """Begin to handle the signals."""
        self._set(signal.SIGHUP, self._on_hangup)
        # twistd's own handler would rename its log file, and fails where another program did so.
        self._set(signal.SIGUSR1, open_logs_again)
        # The reactor sets this very handler when it runs. Without it a stop that comes before would
        # end the process at once, and leave the pid file.
        signal.signal(signal.SIGTERM, self._reactor.sigTerm)

    def _set(self, number: signal.Signals, call: Callable[[], object]) -> None:
        def on_signal(*_: object) -> None:
            self._reactor.callFromThread(call)

        signal.signal(number, on_signal)

    def _on_hangup(self) -> None:
        open_logs_again()
        self._reload()


def open_logs_again() -> None:
    """Open the log files again by their names: a program such as logrotate has renamed them."""
    try:
        for file in log_files():
            # Tried first: `reopen` closes the file in any case.
            with open(file.path, "ab"):  # noqa: PTH123 Twisted's is text
                pass
            file.reopen()
    except OSError as error:
        _log.error("the log goes on in its old file: {error}", error=error)
    else:
        _log.info("log files were opened again")
