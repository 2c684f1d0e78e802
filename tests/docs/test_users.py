"""What docs/users.md says of limits, and the example that it shows, are what the code does."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.documents import blocks, documented
from support.hg import HG7
from support.repositories import make_repository, write_hgrc

from wiredaemon.accounts.groups import parse_groups
from wiredaemon.daemon.cli import main
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    import pytest

TEXT: Final = (Path(__file__).resolve().parents[2] / "docs" / "users.md").read_text("utf-8")


def test_the_table_has_every_limit_of_logins_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(login_\w+)` \| ([\d.]+) \|", TEXT, re.MULTILINE))
    limits = {key: value for key, value in asdict(Limits()).items() if key.startswith("login_")}
    assert {key: float(value) for key, value in rows.items()} == limits


def test_the_groups_that_it_shows_are_read_as_it_says(tmp_path: Path) -> None:
    text = documented("/etc/wiredaemon/groups", "docs/users.md")
    assert parse_groups(tmp_path / "groups", text) == {
        "ann": frozenset({"crew", "admins"}),
        "bob": frozenset({"crew"}),
    }


def test_hg_reads_the_login_that_it_shows(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "copy")
    (hgrc,) = [text for text in blocks("docs/users.md", "ini") if text.startswith("[auth]\n")]
    write_hgrc(repository, hgrc)
    assert HG7.text("config", "auth", folder=repository).splitlines() == [
        "auth.example.prefix=hg.example.org",
        "auth.example.username=ann",
        "auth.example.password=wd_...",
        "auth.example.cert=~/ann.pem",
        "auth.example.key=~/ann.key",
    ]


def test_the_error_that_it_shows_is_the_one_that_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wiredaemon.toml"
    file.write_text('[auth]\nhtpasswd = "users.htpasswd"\n')
    (tmp_path / "users.htpasswd").write_text("# people\n\nann:$apr1$abc$def\n")
    assert main(["check-config", str(file)]) == 1
    shown = capsys.readouterr().err.replace(str(tmp_path), "/etc/wiredaemon")
    assert " ".join(shown.split()) in " ".join(TEXT.split())
