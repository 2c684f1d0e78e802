"""Commands of `hg` in forks are processes of their own, and end as those of a shell do."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT, environment
from support.hg import HG7, HgError

if TYPE_CHECKING:
    from pathlib import Path

    from support.hg import Hg

CALLER: Final = """
import sys
from pathlib import Path
from support.hg import HG7
HG7.run(*sys.argv[2:], folder=Path(sys.argv[1]))
"""


def shell(line: str) -> tuple[str, ...]:
    """Return the arguments of a command that runs a line of a shell."""
    return ("--config", f"alias.line=!{line}", "line")


@pytest.fixture(params=["7", "6"])
def hg(request: pytest.FixtureRequest) -> Hg:
    return HG7 if request.param == "7" else request.getfixturevalue("hg6")


def test_a_command_prints_what_it_does_and_has_its_exit_code(hg: Hg, tmp_path: Path) -> None:
    assert hg.run("init", "größe", folder=tmp_path) == b""
    assert hg.text("root", folder=tmp_path / "größe") == f"{tmp_path}/größe\n"
    with pytest.raises(HgError) as caught:
        hg.run("nothing", folder=tmp_path)
    assert caught.value.code == 255
    assert caught.value.output.startswith(b"hg: unknown command 'nothing'\n")
    with pytest.raises(HgError) as caught:
        hg.run(*shell("kill -9 $PPID"), folder=tmp_path)
    assert caught.value.code == -signal.SIGKILL


def test_commands_run_beside_each_other_and_leave_no_descriptors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with ThreadPoolExecutor() as pool:
        # Each of the two waits for the other one.
        read = pool.submit(HG7.run, *shell("cat fifo"), folder=tmp_path)
        HG7.run(*shell("echo written >fifo"), folder=tmp_path)
        assert read.result() == b"written\n"
    open_files = HG7.text(*shell("readlink /proc/$PPID/fd/* || true"), folder=tmp_path)
    assert "socket:" not in open_files


def test_a_command_has_the_umask_and_the_variables_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_MOMENT", "yes")
    before = os.umask(0o137)
    try:
        printed = HG7.text(*shell("umask; echo $OF_THE_MOMENT"), folder=tmp_path)
    finally:
        os.umask(before)
    assert printed == "0137\nyes\n"


def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    HG7.run("init", folder=tmp_path)
    with pytest.raises(TimeoutError):
        HG7.run("unbundle", "fifo", folder=tmp_path, deadline=0.01)


def test_nothing_is_left_of_a_command_whose_caller_is_killed(tmp_path: Path) -> None:
    for name in ("started", "never"):
        os.mkfifo(tmp_path / name)
    line = shell("sh -c 'echo $PPID >started'; cat never")
    path = os.pathsep.join([str(ROOT / "tests"), environment()["PYTHONPATH"]])
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path), *line],
        env=environment() | {"PYTHONPATH": path},
    )
    try:
        # That of the shell, which the command has started.
        descriptor = os.pidfd_open(int((tmp_path / "started").read_text()))
    finally:
        caller.kill()
        caller.wait()
    try:
        assert select.select([descriptor], [], [], 60)[0] == [descriptor]
    finally:
        os.close(descriptor)
