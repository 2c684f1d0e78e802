from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from wiredaemon.worker import library, lock_holders
from wiredaemon.worker.library import error
from wiredaemon.worker.lock_holders import describe_holder
from wiredaemon.worker.opening import open_repository

if TYPE_CHECKING:
    from worker.conftest import Repository


def held_by(locker: bytes) -> str:
    return describe_holder(error.LockHeld(errno.ETIMEDOUT, b"/x/lock", b"repository", locker))


def test_a_process_of_this_host_is_named(history: Repository) -> None:
    repository = open_repository(history.path)
    lock = repository.lock(wait=False)
    try:
        locker = os.readlink(history.folder / ".hg" / "store" / "lock")  # noqa: PTH115 as it is
    finally:
        lock.release()
    assert held_by(os.fsencode(locker)) == f"/x/lock is held by process {os.getpid()}"


def test_what_another_host_holds_is_left_to_the_operator(history: Repository) -> None:
    repository = open_repository(history.path)
    repository.lock(wait=False).release()
    assert held_by(b"elsewhere:12") == (
        "/x/lock is held by process 12 of elsewhere, another host or PID namespace;"
        " if it has ended there, remove the lock"
    )


def test_the_library_knows_what_locks_call_this_host(history: Repository) -> None:
    repository = open_repository(history.path)
    repository.lock(wait=False).release()
    assert library.lock.lock._host == os.fsencode(lock_holders._own_host())
