"""Disks that fill up: the repository's, that of temporary files, that of the data folder."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from faults.conftest import Work, ask, commit, files_of
from support.hg import HG7
from support.mounts import Mounts, small_file_systems
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

SIZE: Final = 4 << 20
FULL: Final = "HTTP Error 503: No space left on device"
LINE: Final = re.compile(r"repository worker \d+: (.*: No space left on device.*)")


def lines_of(served: Served, after: int) -> list[str]:
    """Return what workers and requests have logged of full disks, and any traceback."""
    lines = served.daemon.log.splitlines()[after:]
    return [line for line in lines if LINE.search(line) or "Traceback" in line]


@pytest.mark.parametrize("room", [0, 8192, 65536])
def test_a_push_onto_a_full_disk_is_refused_whole_and_works_once_there_is_room(
    tmp_path: Path, work: Work, room: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    repository = disk / "repository"
    large = commit(work.clone, "large", os.urandom(300_000))
    within = small_file_systems(disk, size=SIZE)
    with Served.start({"r": repository}, tmp_path, within=within) as served:
        mounts = Mounts(served.daemon.pid)
        there = mounts.path(repository)
        shutil.copytree(work.repository, there)
        url = served.url("r")
        before = HG7.nodes("all()", folder=work.repository)
        after = served.lines_logged()
        with mounts.full(disk, room=room):
            for _ in range(2):
                assert FULL in work.refused(url)
                assert work.read(url) == before
        logged = lines_of(served, after)
        assert len(logged) == 2
        assert all(f": {repository}: No space left" in line for line in logged)
        copy = shutil.copytree(there, tmp_path / "refused")
        HG7.verify(copy)
        assert HG7.nodes("all()", folder=copy) == before
        work.push(url)
        copy = shutil.copytree(there, tmp_path / "pushed")
        HG7.verify(copy)
        assert large in HG7.nodes("all()", folder=copy)


def test_without_room_for_temporary_files_pushes_wait_and_reads_do_not(
    tmp_path: Path, work: Work
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    within = small_file_systems(temporary, size=SIZE)
    with Served.start(
        {"r": work.repository}, tmp_path, within=within, variables={"TMPDIR": str(temporary)}
    ) as served:
        mounts = Mounts(served.daemon.pid)
        url = served.url("r")
        work.push(url)
        third = commit(work.clone, "third", os.urandom(300_000))
        after = served.lines_logged()
        with mounts.full(temporary):
            assert FULL in work.refused(url)
            assert len(work.read(url)) == 2
        assert len(lines_of(served, after)) == 1
        work.push(url)
        HG7.verify(work.repository)
        assert third in HG7.nodes("all()", folder=work.repository)
        assert os.listdir(mounts.path(temporary)) == []  # noqa: PTH208 names


def test_a_full_data_folder_keeps_no_answer_and_stops_none(tmp_path: Path, work: Work) -> None:
    # What leads to an answer of 600 kB, which is kept, and to one that fits into what is full.
    nodes = [commit(work.repository, name, os.urandom(300_000)) for name in ("a", "b")]
    data = tmp_path / "data"
    data.mkdir()
    within = small_file_systems(data, size=SIZE)
    with (
        Served.start({"r": work.repository}, tmp_path, within=within) as served,
        served.daemon.connect() as connection,
    ):
        mounts = Mounts(served.daemon.pid)
        ask(connection, "filesdata", files_of(nodes))
        served.daemon.wait_for_log(r"a response of \d+ bytes is kept")
        first = ask(connection, "filesdata", files_of(nodes)).body
        after = served.lines_logged()
        with mounts.full(data):
            for _ in range(3):
                assert ask(connection, "filesdata", files_of(nodes)).body == first
                assert len(ask(connection, "filesdata", files_of(nodes[:1])).body) > 300_000
            work.read(served.url("r"))
        lines = served.daemon.log.splitlines()[after:]
        (line,) = (line for line in lines if "No space left" in line)
        assert f"no response is recorded for 60.0 s in {data / 'cache'}" in line
        assert not any("Traceback" in line for line in lines)
        kept = [path.name for path in mounts.path(data / "cache/responses").iterdir()]
        assert len(kept) == 2
        assert "lock" in kept
