"""Repositories of the installed Mercurial, made and changed by its `hg` program."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from support.hg import HG7

if TYPE_CHECKING:
    from pathlib import Path


def run_hg(*arguments: str, folder: Path) -> bytes:
    """Return the output of one `hg` command, run by the installed `mercurial` package.

    Raises:
        HgError: It ended with an error.
    """
    return HG7.run(*arguments, folder=folder)


def make_repository(folder: Path) -> Path:
    """Make an empty Mercurial repository in a folder that does not exist, and return the folder."""
    run_hg("init", str(folder), folder=folder.parent)
    return folder


def write_hgrc(repository: Path, text: str) -> None:
    """Put a new hgrc in the place of the old one in one step, as an editor does.

    The new file has another inode than the one it replaces, so that the daemon sees the change
    even within one tick of the file system's clock.
    """
    new = repository / ".hg" / "hgrc.new"
    new.write_text(text, encoding="utf-8")
    new.replace(repository / ".hg" / "hgrc")


def wait_until_settled(repository: Path) -> None:
    """Return once no file was changed in the last 20 ms: of what was, no answer is kept."""
    state = repository / ".hg"
    changed = max(file.lstat().st_ctime_ns for file in (state, *state.rglob("*")))
    while time.time_ns() <= changed + TICK:
        os.sched_yield()


TICK: Final = 20_000_000
"""Nanoseconds that `is_settled` of the cache waits for."""
