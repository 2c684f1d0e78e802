"""What docs/users.md says of limits, and the example that it shows, are what the code does."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from wiredaemon.daemon.cli import main
from wiredaemon.wire.limits import Limits

TEXT: Final = (Path(__file__).resolve().parents[2] / "docs" / "users.md").read_text("utf-8")


def test_the_table_has_every_limit_of_logins_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(login_\w+)` \| ([\d.]+) \|", TEXT, re.MULTILINE))
    limits = {key: value for key, value in asdict(Limits()).items() if key.startswith("login_")}
    assert {key: float(value) for key, value in rows.items()} == limits


@pytest.mark.parametrize(
    "command", re.findall(r"^ +wiredaemon ((?:user|token) \w+ [^#\n]+)", TEXT, re.MULTILINE)
)
def test_every_command_is_one_that_there_is(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.replace("FILE", str(tmp_path / "nosuch.toml")).split()
    # Its arguments are accepted; the configuration is not there.
    assert main(words) == 1
    assert "nosuch.toml: cannot be read" in capsys.readouterr().err


def test_the_error_that_it_shows_is_the_one_that_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wiredaemon.toml"
    file.write_text('[auth]\nhtpasswd = "users.htpasswd"\n')
    (tmp_path / "users.htpasswd").write_text("# people\n\nann:$apr1$abc$def\n")
    assert main(["check-config", str(file)]) == 1
    shown = capsys.readouterr().err.replace(str(tmp_path), "/etc/wiredaemon")
    assert " ".join(shown.split()) in " ".join(TEXT.split())
