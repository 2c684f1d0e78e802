"""``wiredaemon doctor`` as a program, on real files and with real workers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import ANY_PORT
from support.environment import environment
from support.repositories import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCTOR: Final = (sys.executable, "-m", "wiredaemon", "doctor")


def run(folder: Path, *arguments: str, output: int = subprocess.PIPE) -> tuple[int, str]:
    """Exit status and output of the program, which may say nothing else."""
    finished = subprocess.run(
        [*DOCTOR, *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert finished.stderr == ""
    return finished.returncode, finished.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration in which all is fine, under the name that is looked for."""
    make_repository(tmp_path / "one")
    (tmp_path / "mine.py").write_text(
        "from wiredaemon.commands import Permission, command\n"
        '@command("greet", permission=Permission.RO)\n'
        "def greet(context):\n"
        "    return 1\n"
    )
    (tmp_path / "wiredaemon.toml").write_text(
        f'[data]\nfolder = "data"\n[listen]\nhttp = ["{ANY_PORT}"]\n'
        '[paths]\n"/one" = "one"\n[commands]\nload = ["mine.py"]\n'
        "[limits]\ncache_size = 0\ncache_clones = 0\nworker_spool = 0\n"
    )
    return tmp_path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Time and size of all below a folder."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")
    }


def children_of(folder: Path) -> Iterator[str]:
    """Command lines of processes that were started in a folder."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder:
                yield (link.parent / "cmdline").read_text()
        except OSError:
            continue


def test_a_daemon_that_lacks_nothing_is_fine_and_nothing_is_changed_or_left(folder: Path) -> None:
    before = tree(folder)
    status, output = run(folder)
    assert status == 0
    lines = output.splitlines()
    assert f"ok      repository {folder / 'one'}: it can be opened" in lines
    assert f"ok      commands.load: {folder / 'mine.py'}: greet" in lines
    assert lines[-1].startswith("0 errors, 0 warnings, ")
    assert tree(folder) == before
    assert list(children_of(folder)) == []


def test_warnings_and_errors_have_statuses_of_their_own(folder: Path) -> None:
    file = folder / "wiredaemon.toml"
    file.write_text(file.read_text().replace('"/one" = "one"', '"/two" = "two"'))
    assert run(folder)[0] == 1
    file.write_text(f"{file.read_text()}nosuch = 1\n")
    assert run(folder, "--config", str(file))[0] == 2


def test_programs_read_json(folder: Path) -> None:
    status, output = run(folder, "--output", "json")
    findings = [json.loads(line) for line in output.splitlines()]
    assert status == 0
    assert {each["level"] for each in findings} == {"ok"}
    assert {"workers", "commands.load", "listen.http"} <= {each["area"] for each in findings}


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_has_colours_unless_they_are_not_wanted(
    folder: Path, no_colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm")
    terminal, own = pty.openpty()
    with os.fdopen(terminal, "rb") as reading:
        assert run(folder, output=own)[0] == 0
        os.close(own)
        shown = reading.read1()
    assert (b"\x1b[32mok" in shown) is not bool(no_colour)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    status, output = run(tmp_path)
    assert status == 2
    missing = tmp_path / "wiredaemon.toml"
    assert f"error   configuration: {missing} cannot be read: No such file or directory" in output
    assert "`wiredaemon init FOLDER` makes one" in output


def test_an_interruption_is_quiet_and_ends_the_worker(folder: Path) -> None:
    # A hook of an extension that stops until somebody looks.
    ready = folder / "ready"
    os.mkfifo(ready)
    (folder / "stop.py").write_text(
        "import time\n"
        "def reposetup(ui, repo):\n"
        f"    open({str(ready)!r}, 'w').close()\n"
        "    time.sleep(60)\n"
    )
    hgrc = folder / "one" / ".hg" / "hgrc"
    hgrc.write_text(f"[extensions]\nstop = {folder / 'stop.py'}\n")
    with subprocess.Popen(
        DOCTOR, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as doctor:
        ready.read_bytes()  # until the worker has come so far
        doctor.send_signal(signal.SIGINT)
        output, _ = doctor.communicate()
    assert (doctor.returncode, output) == (130, b"")
    assert list(children_of(folder)) == []


def test_a_reader_that_leaves_ends_it_quietly(folder: Path) -> None:
    reading, own = os.pipe()
    os.close(reading)
    assert run(folder, output=own)[0] == 141
    os.close(own)
