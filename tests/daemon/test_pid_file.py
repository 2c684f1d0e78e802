from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest
from support.environment import environment

from wiredaemon.daemon.pid_file import remove_stale_pid_file

OWN: Final = os.getpid()


def test_a_pid_file_with_the_own_number_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "twistd.pid"
    file.write_text(f"{OWN}\n", encoding="ascii")
    assert remove_stale_pid_file(file, own=OWN)
    assert not file.exists()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the system has no /proc")
def test_a_number_that_another_program_has_by_now_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "twistd.pid"
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        file.write_text(str(other.pid), encoding="ascii")
        assert remove_stale_pid_file(file, own=OWN)
        other.communicate()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the system has no /proc")
def test_the_number_of_a_daemon_that_runs_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "twistd.pid"
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "twistd"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        file.write_text(str(other.pid), encoding="ascii")
        assert not remove_stale_pid_file(file, own=OWN)
        other.communicate()
    assert file.exists()


@pytest.mark.parametrize("content", [b"", b"no number", b"-1", b"0", b"\xff"])
def test_what_is_no_number_is_left_to_twistd(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "twistd.pid"
    file.write_bytes(content)
    assert not remove_stale_pid_file(file, own=OWN)
    assert file.exists()


def test_a_missing_pid_file_is_nothing_to_remove(tmp_path: Path) -> None:
    assert not remove_stale_pid_file(tmp_path / "twistd.pid", own=OWN)


def test_twistd_starts_behind_a_pid_file_with_its_own_number(tmp_path: Path) -> None:
    twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
    assert twistd is not None
    # The shell writes its own number, which the daemon then has: exec changes the program only.
    # The missing configuration ends the start right behind the check of the pid file.
    script = 'echo $$ > twistd.pid; exec "$0" --nodaemon wiredaemon --config missing.toml'
    ended = subprocess.run(
        ["/bin/sh", "-c", script, twistd],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    assert "Another twistd server is running" not in ended.stderr + ended.stdout
    assert "missing.toml" in ended.stderr
