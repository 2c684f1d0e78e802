"""Repositories that nothing can be written to: reads go on, pushes are refused with the reason."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from faults.conftest import Work, ask
from support.hg import HG7
from support.mounts import Mounts, own_mounts, without_root_rights
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

BOOKMARK = {b"namespace": b"bookmarks", b"key": b"new", b"old": b""}


def check_refused(served: Served, work: Work, reason: str) -> None:
    """Push, read and push a bookmark over the framed protocol, where nothing can be written."""
    url = served.url("r")
    before = HG7.nodes("all()", folder=work.repository)
    after = served.lines_logged()
    assert f"HTTP Error 503: cannot lock the repository: {reason}" in work.refused(url)
    assert work.read(url) == before
    behind = served.lines_logged()
    with served.daemon.connect() as connection:
        arguments = {**BOOKMARK, b"new": before[0].encode()}
        response = ask(connection, "pushkey", arguments, permission="rw")
    assert f"cannot lock the repository: {reason}".encode() in response.body
    assert str(work.repository).encode() not in response.body
    locked = f"{work.repository}: cannot be locked: {reason}"
    # A worker's line may come behind its answer.
    served.daemon.wait_for_log(re.escape(locked), after=behind)
    lines = served.daemon.log.splitlines()[after:]
    said = [line for line in lines if locked in line]
    assert len(said) == 2
    assert not any("Traceback" in line for line in lines)


def check_pushed(served: Served, work: Work) -> None:
    work.push(served.url("r"))
    HG7.verify(work.repository)
    assert len(HG7.nodes("all()", folder=work.repository)) == 2


def test_a_read_only_file_system_refuses_pushes_until_it_can_be_written_again(
    tmp_path: Path, work: Work
) -> None:
    with Served.start({"r": work.repository}, tmp_path, within=own_mounts()) as served:
        # Once, so that the worker has the repository open.
        work.read(served.url("r"))
        with Mounts(served.daemon.pid).read_only(work.repository):
            check_refused(served, work, "Read-only file system")
        check_pushed(served, work)


def test_a_repository_of_somebody_else_refuses_pushes_until_it_may_be_written(
    tmp_path: Path, work: Work
) -> None:
    folders = [path for path in work.repository.rglob("*") if path.is_dir()]
    with Served.start({"r": work.repository}, tmp_path, within=without_root_rights()) as served:
        for folder in folders:
            folder.chmod(0o500)
        try:
            check_refused(served, work, "Permission denied")
        finally:
            for folder in folders:
                folder.chmod(0o700)
        check_pushed(served, work)


@pytest.mark.parametrize("kept", [True, False], ids=["open", "not yet open"])
def test_a_repository_that_is_gone_is_refused_and_back_when_it_is(
    tmp_path: Path, work: Work, *, kept: bool
) -> None:
    gone = tmp_path / "gone"
    with Served.start({"r": work.repository}, tmp_path) as served:
        url = served.url("r")
        if kept:
            work.read(url)
        shutil.move(work.repository, gone)
        after = served.lines_logged()
        for _ in range(2):
            assert "HTTP Error 503: the repository is not available" in work.refused(url)
        shutil.move(gone, work.repository)
        check_pushed(served, work)
        lines = served.daemon.log.splitlines()[after:]
        assert sum("no Mercurial repository here" in line for line in lines) == 1
        assert not any("Traceback" in line for line in lines)
