"""The console script, in this process for its answers and in its own for what ends a start."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.configuration import ANY_PORT
from support.raw_http import RawConnection

from wiredaemon import __version__
from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def status_of(arguments: list[str]) -> int:
    """The exit status, however it is given: argparse leaves by SystemExit."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else -1


def test_init_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new folder"
    assert status_of(["init", str(folder)]) == 0
    file = folder / "wiredaemon.toml"
    assert capsys.readouterr() == (
        f"made {file}; now run: wiredaemon serve --config '{file}'\n",
        "",
    )
    assert status_of(["check-config", str(file)]) == 0


def test_a_second_init_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["init", str(tmp_path)]) == 0
    capsys.readouterr()
    assert status_of(["init", str(tmp_path)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors == f"wiredaemon: {tmp_path / 'wiredaemon.toml'} exists: it is not overwritten\n"


def test_the_version_is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["--version"]) == 0
    assert capsys.readouterr().out == f"wiredaemon {__version__}\n"


@pytest.mark.parametrize("subcommand", ["serve", "init", "check-config", "doctor"])
def test_every_subcommand_explains_itself(
    capsys: pytest.CaptureFixture[str], subcommand: str
) -> None:
    assert status_of([subcommand, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: wiredaemon {subcommand}")


@pytest.mark.parametrize(
    "arguments",
    [[], ["nosuch"], ["init"], ["check-config"], ["serve", "--config", "a", "--data", "b"]],
)
def test_wrong_arguments_are_an_error_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert status_of(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: wiredaemon")


STARTS = {
    "wiredaemon serve": ("-m", "wiredaemon", "serve", "--config"),
    "twistd": (
        *("-c", "from twisted.scripts.twistd import run; run()"),
        *("--nodaemon", "--pidfile=", "wiredaemon", "--config"),
    ),
    "twist": ("-m", "twisted", "wiredaemon", "--config"),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_wrong_configuration_ends_the_start_with_one_line_and_status_1(
    tmp_path: Path, start: tuple[str, ...]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[limits]\ncbor_depth = -1")
    finished = subprocess.run(
        [sys.executable, *start, "a.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stderr == (
        f"wiredaemon: {file}: limits.cbor_depth: -1 is not accepted"
        " (accepted: a whole number, 0 or more)\n"
    )
    assert (finished.stdout, finished.returncode) == ("", 1)


@pytest.mark.daemon
def test_serve_writes_a_pid_file_where_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f'[data]\nfolder = "data"\n[listen]\nhttp = ["{ANY_PORT}"]\n')
    arguments = ["serve", "--config", "a.toml", "--pidfile", "a.pid"]
    with subprocess.Popen(
        [sys.executable, "-m", "wiredaemon", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as daemon:
        assert daemon.stdout is not None
        found = (re.search(r"http listening on http://.*:(\d+)/", line) for line in daemon.stdout)
        port = next(int(each[1]) for each in found if each is not None)
        # Answered, so that the reactor runs and handles signals.
        with RawConnection(port) as connection:
            assert connection.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert (tmp_path / "a.pid").read_text() == str(daemon.pid)
        daemon.terminate()
        daemon.communicate()
    assert not (tmp_path / "a.pid").exists()
