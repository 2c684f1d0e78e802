"""Tells a service manager what the daemon does: systemd's ``Type=notify`` and ``WatchdogSec``.

The manager names a datagram socket in ``NOTIFY_SOCKET``, and each message is a few lines. No
library is used: those that there are have had no release for years, or need one of systemd's own.

Source: sd_notify(3).
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_log: Final = Logger()
_SOCKET: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHED: Final = "WATCHDOG_PID"
_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """The service manager that has started this process, or none: then nothing is done.

    Args:
        reactor: The reactor. A manager that watches ends a process whose reactor hangs.
        environment: That of this process. The variables are taken out of it: workers and hooks are
            not the ones to speak.
    """

    def __init__(self, reactor: Any, environment: MutableMapping[str, str] = os.environ) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._address = environment.pop(_SOCKET, "")
        watchdog, watched = environment.pop(_WATCHDOG, ""), environment.pop(_WATCHED, "")
        is_watched = watchdog.isdecimal() and watched in {"", str(os.getpid())}
        self._interval = int(watchdog) / _MICROSECONDS / 2 if is_watched else 0.0
        self._alive = LoopingCall(self._tell, "WATCHDOG=1")
        self._alive.clock = reactor

    def tell_ready(self) -> None:
        """Tell that requests are answered, and from now on that the reactor turns."""
        self._tell("READY=1")
        if self._address and self._interval and not self._alive.running:
            self._alive.start(self._interval)

    def tell_reloading(self) -> None:
        """Tell that the configuration is read again; `tell_ready` says when that is done."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self) -> None:
        """Tell that the daemon stops: that may take as long as requests have to end."""
        if self._alive.running:
            self._alive.stop()
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # The name of an abstract socket begins with a zero octet, which is written as "@".
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(0)
                sender.sendto(message.encode("ascii"), address)
        except OSError as error:
            _log.warn("the service manager was not told: {error}", error=error)
            self._address = ""
