from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.environment import client_environment
from support.hg import HgError
from worker.conftest import hg

from wiredaemon.repository.worker_calls import CLEAN, RECOVERED, RUNNING
from wiredaemon.worker import values
from wiredaemon.worker.opening import KeptRepository, RepositoryUnavailable
from wiredaemon.worker.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.conftest import Repository

# Mercurial leaves files that it truncated to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

HOOKS = """
import os

def wait(*_):
    os.write(1, b"open\\n")
    os.read(0, 1)

def now(ui, repo, **_):
    wait()

def finalized(ui, repo, **_):
    repo.currenttransaction().addfinalize(b"zzz", wait)

def generated(ui, repo, **_):
    repo.currenttransaction().addfilegenerator(
        b"zzz", (b"zzz",), wait, order=99, location=b"plain", post_finalize=True
    )

def closed(ui, repo, **_):
    repo.currenttransaction().addpostclose(b"zzz", wait)
"""
"""Where a transaction stops, says so, and waits for a byte."""

STAGES = {
    "changesets are there": ("pretxnchangegroup", "now"),
    "all is there": ("pretxnclose", "now"),
    "changesets are in place": ("pretxnclose", "finalized"),
    "bookmarks are in place": ("pretxnclose", "generated"),
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A repository that is pushed to, and where from."""

    target: Repository
    source: Repository
    hooks: Path

    def push(self, event: str, hook: str, *, to: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a push that moves a bookmark and phases, and waits in its transaction."""
        folder = to or self.target.folder
        hgrc = folder / ".hg" / "hgrc"
        hgrc.write_text(f"[hooks]\n{event}.wait = python:{self.hooks}:{hook}\n")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mercurial", "-R", str(self.source.folder)),
                *("push", "--quiet", "-B", "main", str(folder)),
            ],
            env=client_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        hgrc.unlink()
        return process

    def killed(self, event: str, hook: str, *, to: Path | None = None) -> None:
        """The same, killed there."""
        with self.push(event, hook, to=to) as process:
            process.kill()

    def content(self) -> bytes:
        log = self.target.hg("log", "-r", "all()", "-T", "{node} {phase}\n")
        return log + self.target.hg("bookmarks", "-T", "{bookmark} {node}\n")


@pytest.fixture
def pair(history: Repository, tmp_path: Path) -> Pair:
    source = type(history)(folder=tmp_path / "source", nodes=history.nodes)
    shutil.copytree(history.folder, source.folder, symlinks=True)
    source.hg("update", "main")
    source.commit("new")
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    return Pair(target=history, source=source, hooks=hooks)


def store(pair: Pair, name: str) -> Path:
    return pair.target.folder / ".hg" / "store" / name


def holder(lock: Path) -> tuple[str, str]:
    """Who holds a lock: host and process."""
    host, _, process = str(lock.readlink()).rpartition(":")
    return host, process


def assert_sound(pair: Pair) -> None:
    """It has no errors, and a push works."""
    pair.source.commit("more")
    assert pair.target.hg("verify", "--quiet") == b""
    pair.source.hg("push", "--quiet", "-B", "main", str(pair.target.folder))
    assert pair.target.hg("log", "-r", "main", "-T", "{desc} {phase}") == b"more public"
    assert pair.target.hg("verify", "--quiet") == b""
    assert recover(pair.target.path) == CLEAN


def test_nothing_is_done_without_a_journal(
    history: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    assert recover(history.path) == CLEAN
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stage", STAGES)
def test_the_transaction_of_a_killed_process_is_rolled_back(
    pair: Pair, stage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = pair.content()
    pair.killed(*STAGES[stage])
    with pytest.raises(HgError):
        pair.source.hg("push", str(pair.target.folder))
    assert recover(pair.target.path) == RECOVERED
    assert capfd.readouterr().err == (
        f"{pair.target.folder}: an abandoned transaction was rolled back:"
        " rolling back interrupted transaction\n"
    )
    assert pair.content() == before
    assert not (pair.target.folder / ".hg" / "zzz").exists()
    assert_sound(pair)


@pytest.mark.parametrize("stage", STAGES)
def test_the_transaction_of_a_living_process_is_left_alone(
    pair: Pair, stage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pair.push(*STAGES[stage]) as process:
        assert recover(pair.target.path) == RUNNING
        output = capfd.readouterr().err
        assert output == (
            f"{pair.target.folder}: a transaction is open, and {pair.target.folder}/.hg/wlock"
            f" is held by process {process.pid}\n"
        )
        process.communicate(b"\n")
        assert process.returncode == 0
    assert recover(pair.target.path) == CLEAN
    assert pair.target.hg("log", "-r", "main", "-T", "{desc} {phase}") == b"new public"
    assert_sound(pair)


def test_who_died_after_the_end_of_the_transaction_has_lost_nothing(pair: Pair) -> None:
    pair.killed("pretxnclose", "closed")
    assert store(pair, "lock").is_symlink()
    assert recover(pair.target.path) == CLEAN
    assert pair.target.hg("log", "-r", "main", "-T", "{desc} {phase}") == b"new public"
    assert_sound(pair)
    assert not store(pair, "lock").is_symlink()


def test_a_journal_without_any_lock_is_abandoned(pair: Pair) -> None:
    before = pair.content()
    pair.killed(*STAGES["bookmarks are in place"])
    store(pair, "lock").unlink()
    (pair.target.folder / ".hg" / "wlock").unlink()
    assert recover(pair.target.path) == RECOVERED
    assert pair.content() == before
    assert_sound(pair)


@pytest.mark.parametrize("host", ["elsewhere", "elsewhere/f0000001"])
@pytest.mark.parametrize("name", ["store/lock", "wlock"])
def test_a_lock_of_another_host_is_never_broken(
    pair: Pair, host: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pair.killed(*STAGES["all is there"])
    lock = pair.target.folder / ".hg" / name
    lock.unlink()
    # No process has this number anywhere.
    lock.symlink_to(f"{host}:99999999")
    assert recover(pair.target.path) == RUNNING
    assert capfd.readouterr().err == (
        f"{pair.target.folder}: a transaction is open, and {lock} is held by process 99999999 of"
        f" {host}, another host or PID namespace; if it has ended there, remove the lock\n"
    )
    assert store(pair, "journal").exists()
    lock.unlink()
    assert recover(pair.target.path) == RECOVERED
    assert_sound(pair)


def test_a_lock_of_another_pid_namespace_is_never_broken(
    pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    pair.killed(*STAGES["all is there"])
    host, process = holder(store(pair, "lock"))
    store(pair, "lock").unlink()
    store(pair, "lock").symlink_to(f"{host}1:{process}")
    assert recover(pair.target.path) == RUNNING
    assert f"of {host}1, another host or PID namespace" in capfd.readouterr().err
    assert store(pair, "journal").exists()


def test_a_living_process_that_only_locks_the_working_copy_is_not_disturbed(pair: Pair) -> None:
    pair.killed(*STAGES["all is there"])
    lock = pair.target.folder / ".hg" / "wlock"
    host = holder(lock)[0]
    lock.unlink()
    lock.symlink_to(f"{host}:{os.getpid()}")
    assert recover(pair.target.path) == RUNNING
    assert holder(lock) == (host, str(os.getpid()))
    # What was locked before that was found out is free again.
    lock.unlink()
    assert recover(pair.target.path) == RECOVERED


def test_no_lock_is_left(pair: Pair) -> None:
    pair.killed(*STAGES["all is there"])
    recover(pair.target.path)
    assert not store(pair, "lock").is_symlink()
    assert not (pair.target.folder / ".hg" / "wlock").is_symlink()


@pytest.mark.parametrize("stage", STAGES)
def test_a_kept_repository_sees_what_was_rolled_back(pair: Pair, stage: str) -> None:
    older, newer = KeptRepository(pair.target.path), KeptRepository(pair.target.path)
    before = seen(older)
    pair.killed(*STAGES[stage])
    seen(newer)
    assert recover(pair.target.path) == RECOVERED
    assert seen(older) == seen(newer) == before
    pair.source.hg("push", "--quiet", "-B", "main", str(pair.target.folder))
    assert seen(older) == seen(newer) != before
    older.close()
    newer.close()


def seen(kept: KeptRepository) -> list[object]:
    view = kept.served()
    return [
        values.heads(view),
        values.listkeys(view, b"bookmarks"),
        values.listkeys(view, b"phases"),
    ]


@pytest.fixture
def share(pair: Pair, tmp_path: Path) -> Iterator[Path]:
    share = tmp_path / "share"
    hg("--config", "extensions.share=", "share", "-U", str(pair.target.folder), str(share))
    yield share
    assert recover(os.fsencode(share)) == CLEAN


def test_a_share_recovers_what_its_source_began(pair: Pair, share: Path) -> None:
    before = pair.content()
    pair.killed(*STAGES["bookmarks are in place"])
    assert recover(os.fsencode(share)) == RECOVERED
    assert pair.content() == before
    assert_sound(pair)


def test_a_share_recovers_what_it_began(pair: Pair, share: Path) -> None:
    before = pair.content()
    pair.killed(*STAGES["bookmarks are in place"], to=share)
    assert recover(os.fsencode(share)) == RECOVERED
    assert pair.content() == before
    assert_sound(pair)


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnavailable, match="no Mercurial repository here"):
        recover(os.fsencode(tmp_path / "missing"))


def test_a_roll_back_that_fails_is_named_and_may_be_tried_again(pair: Pair) -> None:
    before = pair.content()
    pair.killed(*STAGES["bookmarks are in place"])
    manifest = store(pair, "00manifest.i")
    content = manifest.read_bytes()
    manifest.write_bytes(b"")
    with pytest.raises(RepositoryUnavailable) as caught:
        recover(pair.target.path)
    assert caught.value.reason.startswith(
        f"{pair.target.folder}: the abandoned transaction cannot be rolled back:"
        " attempted to truncate 00manifest.i to "
    )
    assert store(pair, "journal").exists()
    manifest.write_bytes(content)
    assert recover(pair.target.path) == RECOVERED
    assert pair.content() == before
    assert_sound(pair)


def test_a_backup_that_cannot_be_restored_is_named(
    pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    pair.killed(*STAGES["bookmarks are in place"])
    store(pair, "journal.backup.fncache.bck").unlink()
    assert recover(pair.target.path) == RECOVERED
    assert "; failed to recover fncache (" in capfd.readouterr().err
