"""The shell lines of docs/operation.md about the doctor and completion, run, and a table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from support.documents import blocks
from support.environment import ROOT, environment
from support.repositories import make_repository

from wiredaemon.net.admin.metrics import GROUPS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

TEXT: Final = (ROOT / "docs" / "operation.md").read_text("utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


DOCTOR, RELOAD, COMPLETION = blocks("docs/operation.md", "sh")
(LOGROTATE,) = blocks("docs/operation.md", "logrotate")
(PROMETHEUS,) = blocks("docs/operation.md", "yaml")
LINES: Final = DOCTOR.splitlines()


def test_the_first_block_has_lines_to_run() -> None:
    assert len(LINES) == 4


@pytest.mark.parametrize("line", LINES)
def test_every_line_runs_and_finds_nothing_wrong(line: str, tmp_path: Path) -> None:
    make_repository(tmp_path / "one")
    file = tmp_path / "wiredaemon.toml"
    file.write_text(
        '[data]\nfolder = "data"\n[listen]\nhttp = ["tcp:0:interface=127.0.0.1"]\n'
        '[paths]\n"/" = "one"\n[limits]\ncache_size = 0\ncache_clones = 0\nworker_spool = 0\n'
    )
    program, *words = line.removeprefix("sudo ").split()
    assert program == "wiredaemon"
    replaced = {"FILE": str(file), "wiredaemon": "root"}
    words = [replaced.get(word, word) for word in words]
    finished = subprocess.run(
        [sys.executable, "-m", "wiredaemon", *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    # Whoever is not root cannot look as root: that is a warning.
    may_warn = "--user" in words and " user: " in finished.stdout
    assert (finished.returncode, finished.stderr) == (int(may_warn), "")


def test_prometheus_reads_where_the_daemon_listens() -> None:
    (job,) = yaml.safe_load(PROMETHEUS)["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert job["job_name"] == "wiredaemon"
    assert f'[admin]\nlisten = ["tcp:{port}:interface={host}"]\n' in section("Metrics and health")
    # By default it asks for this path.
    assert "| `/metrics` |" in section("Metrics and health")


def test_expressions_for_alerts_name_metrics_and_limits_that_there_are() -> None:
    names = {metric.name for group in GROUPS for metric in group.metrics}
    text = section("Metrics and health")
    asked = set(re.findall(r"\bwiredaemon_\w+", text))
    assert len(asked) == 7
    assert asked <= names
    assert set(re.findall(r'limit="(\w+)"', text)) <= set(Limits.__dataclass_fields__)


def test_expressions_compare_metrics_of_the_same_labels() -> None:
    # Where one side has another label Prometheus compares nothing, and does not say so.
    labels = {metric.name: set(metric.labels) for group in GROUPS for metric in group.metrics}
    compared = [
        (name, set(re.findall(r"\w+", without)))
        for row in re.findall(r"^\| `(.*)` \|", section("Metrics and health"), re.MULTILINE)
        if len(re.findall(r"\bwiredaemon_\w+", row)) > 1
        for without, name in re.findall(r"(?:without \((.*?)\) \()?\b(wiredaemon_\w+)", row)
    ]
    assert len(compared) == 4
    assert [name for name, without in compared if labels[name] != without] == []


def test_the_table_has_every_exit_status() -> None:
    assert re.findall(r"^\| (\d+) \|", section("Doctor"), re.MULTILINE) == [
        "0",
        "1",
        "2",
        "130",
        "141",
    ]


def test_the_lines_about_completion_make_the_files_that_they_name(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "wiredaemon"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wiredaemon "$@"\n')
    program.chmod(0o755)
    variables = {
        **environment(),
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    subprocess.run(["sh", "-e", "-c", COMPLETION], check=True, env=variables)
    made = (
        ".local/share/bash-completion/completions/wiredaemon",
        ".zfunc/_wiredaemon",
        ".config/fish/completions/wiredaemon.fish",
    )
    assert all("doctor" in (tmp_path / name).read_text() for name in made)


WAITS: Final = """
import signal
awaited = {signal.SIGHUP, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
print("ready", flush=True)
print(signal.sigwait(awaited).name)
"""


@pytest.mark.parametrize(
    ("script", "shown", "expected"),
    [
        (RELOAD, "twistd.pid", "SIGHUP"),
        (
            re.findall(r"postrotate\n(.+)endscript", LOGROTATE, re.DOTALL)[0],
            "/run/wiredaemon.pid",
            "SIGUSR1",
        ),
    ],
    ids=["reload", "logrotate"],
)
def test_a_line_sends_the_signal_that_the_table_names(
    script: str, shown: str, expected: str, tmp_path: Path
) -> None:
    assert f"| {expected} |" in TEXT
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        (tmp_path / "pid").write_text(f"{waiting.pid}\n")
        subprocess.run(["sh", "-e", "-c", script.replace(shown, str(tmp_path / "pid"))], check=True)
        assert waiting.stdout.readline() == f"{expected}\n"
