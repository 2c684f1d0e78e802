"""`wiredaemon check-config` says all that is wrong with a configuration, at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from pathlib import Path

WRONG = """
[listen]
http = ["tcp:nosuch"]
[paths]
"/" = "nosuch"
[commands]
load = ["nosuch.py"]
[limits]
conections = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a.toml"
    made.touch()
    return made


def test_it_says_ok(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(file)]) == 0
    assert capsys.readouterr() == (f"{file}: OK\n", "")


def test_it_says_all_that_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WRONG)
    assert main(["check-config", str(file)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    unknown, endpoint, commands, folder = errors.splitlines()
    assert unknown.startswith(f"wiredaemon: {file}: limits.conections: unknown key; is it conn")
    assert endpoint.startswith(f"wiredaemon: {file}: listen.http: 'tcp:nosuch' is no endpoint: ")
    assert commands.startswith(f"wiredaemon: {file}: commands.load: {file.parent}/nosuch.py does")
    assert folder.startswith(f"wiredaemon: {file}: warning: paths./: the folder {file.parent}/no")


def test_json_is_an_object_for_each_finding(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--output", "json", str(file)]) == 0
    fine = {"level": "ok", "area": "configuration", "text": f"{file} can be used", "remedy": ""}
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [fine]
    file.write_text(WRONG)
    assert main(["check-config", "--output", "json", str(file)]) == 1
    output, errors = capsys.readouterr()
    assert errors == ""
    found = [json.loads(line) for line in output.splitlines()]
    assert [(each["level"], each["area"]) for each in found] == [
        ("error", "limits.conections"),
        ("error", "listen.http"),
        ("error", "commands.load"),
        ("warning", "paths./"),
    ]
    assert all(each["remedy"].startswith("accepted: ") for each in found[:3])
    assert found[3]["remedy"].startswith("make it, or let the daemon's user read it")
