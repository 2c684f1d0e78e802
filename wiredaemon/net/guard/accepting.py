"""Ports while the system has no descriptor left for a new connection.

Twisted keeps one in reserve: with it, connections are accepted and closed at once, so that their
clients know. That is logged once in a while, not three times for each. A port that cannot even do
that is left alone for a moment: it would be ready to read for ever.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.repeated_lines import RepeatedLines
from wiredaemon.net.twisted_internals import (
    has_reserved_descriptor,
    observe_accepts,
    reserve_descriptor,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.logger import LogEvent

    from wiredaemon.net.repeated_lines import Reactor

PAUSE_SECONDS: Final = 1.0
"""Seconds after which a port that could not accept tries again."""

_log: Final = Logger()


class Accepting:
    """Watches how ports accept connections.

    Args:
        reactor: The reactor, for timers.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._lines = RepeatedLines(reactor, _log_line, most=1)

    def watch(self, port: IListeningPort) -> None:
        """Watch a port that listens."""
        observe_accepts(port, lambda event: self._observe(port, event))

    def stop(self) -> None:
        """Log what was counted, and leave no timer for it."""
        self._lines.stop()

    def _observe(self, port: Any, event: LogEvent) -> None:  # noqa: ANN401 has no interface for reading
        if "address" in event:
            self._lines.log(
                "no descriptor is left: connections are closed at once until others end"
                f" ({resource.getrlimit(resource.RLIMIT_NOFILE)[0]} are allowed: LimitNOFILE of"
                " systemd, ulimit -n)"
            )
        elif "acceptError" in event:
            self._lines.log(
                f"connections cannot be accepted, next try in {PAUSE_SECONDS:g} s:"
                f" {event['acceptError']}"
            )
            port.stopReading()
            self._reactor.callLater(PAUSE_SECONDS, lambda: _resume(port))


def _resume(port: Any) -> None:  # noqa: ANN401 as above
    if not has_reserved_descriptor():
        reserve_descriptor()
    # It may have been closed meanwhile.
    if port.connected:
        port.startReading()


def _log_line(line: str) -> None:
    _log.error("{line}", line=line)
