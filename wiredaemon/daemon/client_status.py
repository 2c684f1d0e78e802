"""Exit statuses of the tools that call servers, by kind of failure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from wiredaemon.daemon.interrupts import INTERRUPTED
from wiredaemon.daemon.unread import UNREAD

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(IntEnum):
    """An exit status. Those from 69 on are of BSD's sysexits, of timeout(1) and of shells."""

    DONE = 0
    FAILED = 1
    WRONG_ARGUMENTS = 2
    NOT_REACHED = 69
    PROTOCOL = 76
    NOT_ALLOWED = 77
    NOT_TRUSTED = 78
    DEADLINE = 124
    INTERRUPTED = INTERRUPTED
    UNREAD = UNREAD


MEANINGS: Final[Mapping[Status, str]] = {
    Status.DONE: "done",
    Status.FAILED: "the command failed, there is no such command, or a file cannot be read",
    Status.WRONG_ARGUMENTS: "wrong arguments",
    Status.NOT_REACHED: "no connection, a lost one, or no answer in time",
    Status.PROTOCOL: "the server speaks something else, or not what was asked for",
    Status.NOT_ALLOWED: "the login was refused, or the permission is missing",
    Status.NOT_TRUSTED: "the certificate of the server is not trusted",
    Status.DEADLINE: "--deadline has passed",
    Status.INTERRUPTED: "interrupted (Ctrl-C, SIGTERM)",
    Status.UNREAD: "the reader of the output has closed it",
}
"""What each status means, for help and documents."""
