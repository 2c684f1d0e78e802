"""Who holds the lock of a repository, as Mercurial writes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.locks import here, running
from support.repositories import make_repository, run_hg

from wiredaemon.net.hosting.lock_holder import is_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def linked(lock: Path, holder: str) -> None:
    lock.symlink_to(holder)


def written(lock: Path, holder: str) -> None:
    lock.write_text(holder)


@pytest.mark.parametrize("make", [linked, written])
def test_a_lock_is_abandoned_once_its_process_has_ended(
    tmp_path: Path, make: Callable[[Path, str], None]
) -> None:
    store = os.fsencode(tmp_path)
    assert is_abandoned(store)
    with running() as process:
        make(tmp_path / "lock", f"{here()}:{process.pid}")
        assert not is_abandoned(store)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_abandoned(store)
        process.wait()
        assert is_abandoned(store)


@pytest.mark.parametrize("holder", ["elsewhere/f:1", "elsewhere:1", "", "x", "x:y"])
def test_of_what_is_elsewhere_or_not_understood_nothing_is_known(
    tmp_path: Path, holder: str
) -> None:
    (tmp_path / "lock").write_text(holder)
    assert not is_abandoned(os.fsencode(tmp_path))


def test_mercurial_writes_what_is_understood(tmp_path: Path) -> None:
    make_repository(tmp_path / "r")
    (tmp_path / "r" / "file").write_text("text")
    seen = tmp_path / "seen"
    hook = f"hooks.pretxncommit=readlink .hg/store/lock > {seen}"
    run_hg("--config", hook, "commit", "-A", "-m", "m", "-u", "u", folder=tmp_path / "r")
    place, _, pid = seen.read_text().strip().rpartition(":")
    assert place == here()
    # That of the commit, which has ended.
    store = tmp_path / "r" / ".hg" / "store"
    assert is_abandoned(os.fsencode(store))
    linked(store / "lock", f"{place}:{pid}")
    assert is_abandoned(os.fsencode(store))
