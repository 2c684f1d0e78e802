"""The examples of docs/deployment.md, run with other paths."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.documents import blocks, documented
from support.environment import ROOT, client_environment, environment
from support.hg import HG7
from support.proxies import replaced
from support.repositories import make_repository
from support.serving import write_certificate

from wiredaemon.daemon.config_file import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = "docs/deployment.md"


def example_in(first: str, changes: Mapping[str, str]) -> str:
    return replaced(documented(first, DOCUMENT), changes)


ELSEWHERE = """
chown() { echo "chown $@"; }
systemctl() { echo "systemctl $@"; }
adduser() { echo "adduser $@"; }
python3() {
    mkdir -p "$3/bin"
    printf '#!/bin/sh\necho "pip $@"\n' > "$3/bin/pip"
    chmod +x "$3/bin/pip"
}
install() { if [ "$1" = -d ]; then mkdir -p "${@: -1}"; else command install "$@"; fi; }
wiredaemon() {
    case "$1" in
        user) echo "a long secret" | command wiredaemon "$@" --stdin ;;
        *) command wiredaemon "$@" ;;
    esac
}
"""
"""What a script does in a test instead of what root does on a server, and asks of a person."""


def run_elsewhere(script: str) -> list[str]:
    """What a script for root prints, with harmless programs."""
    variables = environment()
    finished = subprocess.run(
        ["bash", "-e", "-c", ELSEWHERE + script],
        cwd=ROOT,
        env={**variables, "PATH": f"{sysconfig.get_path('scripts')}:{variables['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout.splitlines()


def test_the_installation_makes_what_the_unit_names(tmp_path: Path) -> None:
    changes = {name: f"{tmp_path}{name}" for name in ("/opt", "/etc", "/srv")}
    script = example_in("install: the program, its user, its folders", changes)
    assert run_elsewhere(script) == [
        "pip install wiredaemon[hg]",
        "adduser --system --group --home /var/lib/wiredaemon hg",
    ]
    unit = (ROOT / "conf" / "wiredaemon.service").read_text("utf-8")
    for made in ("opt/wiredaemon", "etc/wiredaemon", "srv/hg"):
        assert (tmp_path / made).is_dir()
        assert f"/{made}" in unit
    assert "User=hg\n" in unit


def test_the_configuration_can_be_used_once_its_users_are_made(tmp_path: Path) -> None:
    write_certificate(tmp_path, "localhost")
    (tmp_path / "cert.pem").rename(tmp_path / "fullchain.pem")
    (tmp_path / "key.pem").rename(tmp_path / "privkey.pem")
    (tmp_path / "hg").mkdir()
    file = tmp_path / "wiredaemon.toml"
    places = {"/etc/wiredaemon/": f"{tmp_path}/"}
    more = {"/var/lib": str(tmp_path), "/srv": str(tmp_path)}
    text = example_in("/etc/wiredaemon/wiredaemon.toml", {**places, **more})
    file.write_text(text)
    script = example_in("users: the first one, its group, and the file of tokens", places)
    files = [f"{tmp_path}/{name}" for name in ("users.htpasswd", "tokens", "groups")]
    assert run_elsewhere(script) == [
        f"added ann to {tmp_path}/users.htpasswd",
        f"chown hg:hg {' '.join(files)}",
        f"{file}: OK",
    ]
    config = load_config(file)
    assert config.listen.https == ("tcp:443",)


def test_the_unit_is_the_one_that_there_is(tmp_path: Path) -> None:
    changes = {"/etc/systemd/system/": f"{tmp_path}/"}
    assert run_elsewhere(example_in("unit: copied and started", changes)) == [
        "systemctl daemon-reload",
        "systemctl enable --now wiredaemon",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["wiredaemon.service"]


def test_the_unit_of_the_port_is_one_that_systemd_reads() -> None:
    (text,) = blocks("docs/deployment.md", "systemd")
    unit = configparser.ConfigParser()
    unit.read_string(text)
    assert {name: dict(unit[name]) for name in unit.sections()} == {
        "Socket": {"listenstream": "443"},
        "Install": {"wantedby": "sockets.target"},
    }


@pytest.mark.hg
def test_a_backup_has_what_was_pushed_and_the_settings(tmp_path: Path) -> None:
    served, copies = tmp_path / "hg", tmp_path / "copies"
    (served / "a plain folder" / "deep").mkdir(parents=True)
    copies.mkdir()
    for name in ("one", "a plain folder/deep/two"):
        repository = make_repository(served / name)
        (repository / "file").write_text(name)
        HG7.run("commit", "--addremove", "-m", name, folder=repository)
    (served / "one" / ".hg" / "hgrc").write_text("[web]\ncontact = ann\n")
    script = tmp_path / "backup"
    programs = str(Path(sys.executable).parent)
    variables = {**client_environment(), "PATH": f"{programs}:{os.environ['PATH']}"}
    changes = {"/srv/hg": str(served), "/var/backups/hg": str(copies)}
    script.write_text(example_in("/etc/cron.daily/backup-hg", changes))
    for more in ("", "more"):
        if more:
            (served / "a plain folder/deep/two" / "file").write_text(more)
            HG7.run("commit", "-m", more, folder=served / "a plain folder/deep/two")
        subprocess.run(["sh", script], check=True, env=variables)
        for name in ("one", "a plain folder/deep/two"):
            nodes = HG7.nodes("all()", folder=served / name)
            assert HG7.nodes("all()", folder=copies / name) == nodes
    assert (copies / "one" / ".hg" / "hgrc").read_text() == "[web]\ncontact = ann\n"


def test_the_hook_of_certbot_is_a_script() -> None:
    hook = documented("/etc/letsencrypt/renewal-hooks/deploy/wiredaemon", DOCUMENT)
    subprocess.run(["sh", "-n"], check=True, input=hook.encode())
    assert hook.rstrip().endswith("systemctl reload wiredaemon")
