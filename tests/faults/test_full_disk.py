"""Disks that fill up: the repository's, that of temporary files, that of the data folder."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from subprocess import Popen
from typing import TYPE_CHECKING, Final

import pytest
from faults.conftest import Work, ask, commit, files_of
from support.configuration import configuration
from support.environment import environment
from support.hg import HG7
from support.mounts import Mounts, small_file_systems
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DEADLINE: Final = 60.0
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
        # Answers of both versions have a folder each, and one line each.
        said = [line for line in lines if "No space left" in line]
        folders = (data / "cache", data / "cache" / "clones")
        wanted = [f"no response is recorded for 60.0 s in {folder}:" for folder in folders]
        assert [text for text in wanted for line in said if text in line] == wanted
        assert len(said) == len(wanted)
        assert not any("Traceback" in line for line in lines)
        kept = [path.name for path in mounts.path(data / "cache/responses").iterdir()]
        assert len(kept) == 2
        assert "lock" in kept


def test_a_log_file_on_a_full_disk_stops_nothing(tmp_path: Path, work: Work) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    log = logs / "log"
    port = tmp_path / "socket"
    text = configuration(
        data=tmp_path / "data",
        repository=work.repository,
        framings={},
        listen=(),
        load=(),
        more="[log]\nrequests = true\n",
    ).replace("http = []", f"http = ['unix:{port}']", 1)
    (tmp_path / "wiredaemon.toml").write_text(text, "utf-8")
    with running(
        "--logfile",
        str(log),
        "wiredaemon",
        "--config",
        "wiredaemon.toml",
        folder=tmp_path,
        within=small_file_systems(logs, size=1 << 20),
    ) as process:
        while not port.exists():
            assert runs_on(process)
        mounts = Mounts(process.pid)
        assert heads(port).startswith(b"HTTP/1.1 200 ")
        with mounts.full(logs):
            # More than what is left of the log's last page.
            for _ in range(60):
                assert heads(port).startswith(b"HTTP/1.1 200 ")
        before = mounts.path(log).stat().st_size
        assert heads(port).startswith(b"HTTP/1.1 200 ")
        while mounts.path(log).stat().st_size == before:
            assert runs_on(process)


def test_a_full_data_folder_stops_a_start_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    full = (*small_file_systems(data, size=65536), *filled(data))
    with running("wiredaemon", "--data", str(data), folder=tmp_path, within=full) as process:
        said = process.communicate(timeout=DEADLINE)[0].decode()
    assert process.returncode == 1
    (line,) = (line for line in said.splitlines() if line)
    assert f"cannot write the development certificate into {data}: No space left" in line


def test_a_folder_on_a_full_disk_is_left_empty_by_init(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    init = (sys.executable, "-m", "wiredaemon", "init", str(disk / "new"))
    command = (*small_file_systems(disk, size=65536), *filled(disk), *init)
    # Whether anything is left only who sees the file system can say.
    look = ("sh", "-c", f'"$@"; echo "code $?"; ls {disk}', "sh")
    at = command.index(init[0], len(command) - len(init))
    ended = subprocess.run(
        (*command[:at], *look, *init),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=True,
    )
    assert ended.stdout.decode().splitlines() == [
        f"wiredaemon: cannot make {disk / 'new'}: No space left on device",
        "code 1",
        "ballast",
    ]


def filled(folder: Path) -> Sequence[str]:
    """Return a command that runs another one when the file system of a folder is full."""
    script = 'head -c 1G /dev/zero > "$1/ballast" 2> /dev/null; shift; exec "$@"'
    return ("sh", "-c", script, "sh", str(folder))


@contextmanager
def running(*arguments: str, folder: Path, within: Sequence[str]) -> Iterator[Popen[bytes]]:
    """Run `twistd` in the foreground; both outputs are one pipe."""
    twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
    assert twistd is not None
    with Popen(
        (*within, twistd, "--nodaemon", "--pidfile=", *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def runs_on(process: Popen[bytes]) -> bool:
    """Wait a moment for a process to end, which it should not."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return True
    return False


def heads(port: Path) -> bytes:
    """Return a response that comes over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(port))
        connection.sendall(b"GET /?cmd=heads HTTP/1.0\r\n\r\n")
        return connection.recv(65536)
