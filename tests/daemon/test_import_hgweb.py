"""``wiredaemon import-hgweb``: the daemon serves what hgwebdir has served, at the same paths."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.hg import HG7, hg_serve_configured
from support.raw_http import RawConnection
from support.repositories import make_repository

from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: Final = """[web]
push_ssl = no
style = gitweb
%include more
[paths]
/team = hg/*, third/*
deep = {root}/hg/**
/single = other
list = "a b", other
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("hg/one", "hg/two", "hg/two/inside", "other", "third/three", "a b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_repository(tmp_path / name)
    (tmp_path / "more").write_text("[web]\ndeny_push = eve\n")
    made = tmp_path / "hgweb.config"
    made.write_text(CONFIG.format(root=tmp_path))
    return made


def listed(port: int) -> set[str]:
    """The repositories of an index that is asked for as plain text."""
    with RawConnection(port) as connection:
        response = connection.exchange(b"GET /?style=raw HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return {line.rstrip("/") for line in response.body.decode().split()}


def test_the_daemon_lists_the_same_repositories_as_hgwebdir(file: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    made = own / "wiredaemon.toml"
    assert main(["import-hgweb", str(file), "--output", str(made)]) == 0
    assert main(["check-config", str(made)]) == 0
    # Ports of the system's choice, and a repository's index at the root of all.
    listen = f'\n[listen]\nhttp = ["{ANY_PORT}"]\n'
    with (
        hg_serve_configured(HG7, file, tmp_path) as url,
        Daemon.start(made.read_text() + listen, own) as daemon,
    ):
        ours = listed(daemon.port("http"))
        assert ours == listed(int(url.rpartition(":")[2]))
        assert ours == {
            *("/team/one", "/team/two", "/team/three", "/single", "/list"),
            *("/deep/one", "/deep/two", "/deep/two/inside"),
        }


def test_notes_go_to_standard_error_and_the_configuration_to_standard_output(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-hgweb", str(file)]) == 0
    output, errors = capsys.readouterr()
    made = tomllib.loads(output)
    assert made["web"] == {"push_ssl": False, "deny_push": "eve"}
    assert errors.splitlines()[-2:] == ["    [web]", "    style = gitweb"]


def test_nothing_is_overwritten(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    assert main(["import-hgweb", str(file), "--output", str(there)]) == 1
    assert there.read_text() == "mine"
    assert capsys.readouterr().err == f"wiredaemon: {there} exists: it is not overwritten\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), ("[paths\n", ":1")]
)
def test_a_file_that_cannot_be_read_is_named(
    content: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hgweb.config"
    if content is not None:
        file.write_text(content)
    assert main(["import-hgweb", str(file)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"wiredaemon: cannot read {file}: ")
    assert reason in errors
