"""A lock of a process of another host: never broken, waited for, and named to the operator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from faults.conftest import OPEN, Work
from support.hg import HG7
from support.repositories import write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = "elsewhere.example:12"


def test_a_lock_of_another_host_holds_pushes_back_and_no_reads(tmp_path: Path, work: Work) -> None:
    write_hgrc(work.repository, f"{OPEN}[ui]\ntimeout = 1\n")
    lock = work.repository / ".hg" / "store" / "lock"
    lock.symlink_to(ELSEWHERE)
    with Served.start({"r": work.repository}, tmp_path) as served:
        url = served.url("r")
        after = served.lines_logged()
        for _ in range(2):
            said = work.refused(url)
            assert "HTTP Error 503: timed out waiting for the repository lock" in said
            assert "elsewhere" not in said
        assert len(work.read(url)) == 1
        assert os.readlink(lock) == ELSEWHERE  # noqa: PTH115 the link itself
        lines = served.daemon.log.splitlines()[after:]
        holder = f"{lock} is held by process 12 of elsewhere.example, another host"
        assert sum(holder in line for line in lines) == 2
        assert not any("Traceback" in line for line in lines)
        lock.unlink()
        work.push(url)
        HG7.verify(work.repository)


def test_a_lock_of_a_process_of_this_host_that_has_ended_is_no_obstacle(
    tmp_path: Path, work: Work
) -> None:
    # The host as Mercurial names it, with a process that cannot be.
    hook = f"readlink {work.repository}/.hg/store/lock > {tmp_path}/holder"
    HG7.run("--config", f"hooks.pretxnclose={hook}", "bookmark", "one", folder=work.repository)
    holder = (tmp_path / "holder").read_text().strip()
    host, _, _ = holder.rpartition(":")
    (work.repository / ".hg" / "store" / "lock").symlink_to(f"{host}:{2**22 + 1}")
    with Served.start({"r": work.repository}, tmp_path) as served:
        work.push(served.url("r"))
    HG7.verify(work.repository)
