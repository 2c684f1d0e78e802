"""The examples of docs/deployment.md, run with other paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.accounts import write_htpasswd
from support.hg import HG7, client_environment
from support.proxies import documented, replaced
from support.repositories import make_repository
from support.serving import write_certificate

from wiredaemon.daemon.cli import main
from wiredaemon.daemon.config_file import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = "deployment.md"


def example_in(first: str, changes: Mapping[str, str]) -> str:
    return replaced(documented(first, DOCUMENT), changes)


def test_the_configuration_can_be_used(tmp_path: Path) -> None:
    write_certificate(tmp_path, "localhost")
    (tmp_path / "cert.pem").rename(tmp_path / "fullchain.pem")
    (tmp_path / "key.pem").rename(tmp_path / "privkey.pem")
    write_htpasswd(tmp_path / "users.htpasswd", ann="secret")
    (tmp_path / "groups").write_text("developers: ann\n")
    (tmp_path / "tokens").touch(mode=0o600)
    (tmp_path / "hg").mkdir()
    file = tmp_path / "wiredaemon.toml"
    changes = {
        "/etc/wiredaemon/f": f"{tmp_path}/f",
        "/etc/wiredaemon/p": f"{tmp_path}/p",
        "/etc/wiredaemon/u": f"{tmp_path}/u",
        "/etc/wiredaemon/t": f"{tmp_path}/t",
        "/etc/wiredaemon/g": f"{tmp_path}/g",
        "/var/lib": str(tmp_path),
        "/srv": str(tmp_path),
    }
    file.write_text(example_in("/etc/wiredaemon/wiredaemon.toml", changes))
    assert main(["check-config", str(file)]) == 0
    config = load_config(file)
    assert config.listen.https == ("tcp:443",)


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
