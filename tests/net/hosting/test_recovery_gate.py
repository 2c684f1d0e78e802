"""Abandoned transactions: when a worker is asked to look, and who waits for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.asked_pool import AskedPool
from support.locks import here, running
from support.logs import texts_of
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import Permission, ServerError
from wiredaemon.net.hosting.recovery_gate import RECHECK_SECONDS, RecoveryGate
from wiredaemon.repository.worker_calls import CLEAN, RECOVER, RECOVERED, RUNNING, CallContext

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.logger import LogEvent

RO, RW = Permission.RO, Permission.RW
_case: Final = SynchronousTestCase()


class Watched:
    """A folder with the sign of a transaction, or without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / ".hg" / "store" / "journal"
        self.journal.parent.mkdir(parents=True)
        self.pool = AskedPool()
        pool: Any = self.pool
        self.gate = RecoveryGate(os.fsencode(folder), pool)

    def lock(self, pid: int) -> None:
        """Let a process hold the lock."""
        lock = self.journal.with_name("lock")
        lock.unlink(missing_ok=True)
        lock.symlink_to(f"{here()}:{pid}")

    def wait(self, permission: Permission = RO) -> Deferred[None]:
        waiting = self.gate.wait(permission)
        assert waiting is not None
        return waiting


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.parametrize("permission", [RO, RW])
def test_without_a_transaction_nobody_is_asked(watched: Watched, permission: Permission) -> None:
    assert watched.gate.wait(permission) is None
    assert watched.pool.asked == []


@pytest.mark.parametrize("permission", [RO, RW])
def test_a_transaction_is_looked_at_before_the_command(
    watched: Watched, permission: Permission
) -> None:
    watched.journal.write_text("")
    waiting = watched.wait(permission)
    context = CallContext(repository=os.fsencode(watched.folder), permission=RW)
    assert watched.pool.asked == [(context, RECOVER, {})]
    _case.assertNoResult(waiting)
    watched.pool.answers[0].callback(CLEAN)
    _case.successResultOf(waiting)


def test_any_of_the_signs_is_one(watched: Watched) -> None:
    other = watched.folder / "shared" / "journal"
    watched.gate.journals = [os.fsencode(watched.journal), os.fsencode(other)]
    assert watched.gate.wait(RO) is None
    other.parent.mkdir()
    other.write_text("")
    assert watched.gate.wait(RO) is not None


def test_all_who_come_meanwhile_wait_for_the_same_look(watched: Watched) -> None:
    watched.journal.write_text("")
    waiting = [watched.wait(each) for each in (RO, RW, RO)]
    assert len(watched.pool.asked) == 1
    waiting[1].cancel()
    _case.failureResultOf(waiting[1], CancelledError)
    watched.pool.answers[0].callback(CLEAN)
    _case.successResultOf(waiting[0])
    _case.successResultOf(waiting[2])


def test_what_was_rolled_back_is_counted_and_logged(
    watched: Watched, logged: list[LogEvent]
) -> None:
    for count in (1, 2):
        watched.journal.write_text("")
        waiting = watched.wait()
        watched.journal.unlink()
        watched.pool.answers[-1].callback(RECOVERED)
        _case.successResultOf(waiting)
        assert watched.pool.recoveries == count
        assert watched.gate.wait(RW) is None
    assert texts_of(logged) == [
        f"an abandoned transaction of repository {watched.folder} was rolled back "
        f"({count} since the start)"
        for count in (1, 2)
    ]


def test_a_transaction_that_runs_is_looked_at_by_reads_once_a_second_and_by_all_writes(
    watched: Watched, logged: list[LogEvent]
) -> None:
    watched.journal.write_text("")
    watched.lock(os.getpid())
    waiting = watched.wait()
    watched.pool.answers[0].callback(RUNNING)
    _case.successResultOf(waiting)
    assert watched.gate.wait(RO) is None
    write = watched.wait(RW)
    watched.pool.answers[1].callback(RUNNING)
    _case.successResultOf(write)
    watched.pool.reactor.advance(RECHECK_SECONDS / 2)
    assert watched.gate.wait(RO) is None
    watched.pool.reactor.advance(RECHECK_SECONDS / 2)
    assert watched.gate.wait(RO) is not None
    assert len(watched.pool.asked) == 3
    assert texts_of(logged) == []


def test_a_transaction_whose_process_ends_is_looked_at_at_once(watched: Watched) -> None:
    watched.journal.write_text("")
    with running() as process:
        watched.lock(process.pid)
        watched.wait()
        watched.pool.answers[0].callback(RUNNING)
        assert watched.gate.wait(RO) is None
        process.kill()
        # Whether anybody has asked for it, or not yet.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        watched.wait()
        watched.pool.answers[1].callback(RUNNING)
        process.wait()
        watched.wait()


def test_a_look_that_fails_is_logged_and_lets_the_command_try(
    watched: Watched, logged: list[LogEvent]
) -> None:
    watched.journal.write_text("")
    waiting = watched.wait()
    watched.pool.answers[0].errback(ServerError("locked"))
    _case.successResultOf(waiting)
    assert texts_of(logged) == [
        f"an abandoned transaction of repository {watched.folder} cannot be rolled back: locked"
    ]
    assert watched.gate.wait(RO) is None
    assert watched.gate.wait(RW) is not None


def test_a_pool_that_refuses_at_once_does_not_stop_later_looks(watched: Watched) -> None:
    watched.journal.write_text("")

    def refuse(*_: object, **__: object) -> Deferred[object]:
        refused: Deferred[object] = Deferred()
        refused.errback(ServerError("busy"))
        return refused

    pool: Any = watched.pool
    ask, pool.call = pool.call, refuse
    _case.successResultOf(watched.wait(RW))
    pool.call = ask
    waiting = watched.wait(RW)
    watched.pool.answers[0].callback(CLEAN)
    _case.successResultOf(waiting)
