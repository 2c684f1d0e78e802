"""The holder of a repository's lock, in words for the operator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wiredaemon.worker import library

if TYPE_CHECKING:
    from wiredaemon.worker.library import error


def describe_holder(held: error.LockHeld) -> str:
    """Return which process holds a lock, and what to do where we cannot see whether it lives.

    It may be on another host or in another PID namespace: such a lock is never broken.
    """
    host, _, process = os.fsdecode(held.locker).rpartition(":")
    where = os.fsdecode(held.filename)
    if host and host != _own_host():
        return (
            f"{where} is held by process {process} of {host}, another host or PID namespace;"
            " if it has ended there, remove the lock"
        )
    return f"{where} is held by process {process}"


def _own_host() -> str:
    """Return the name that locks give this host and PID namespace."""
    return os.fsdecode(library.lock.lock._host or b"")  # noqa: SLF001  known as soon as a lock was tried
