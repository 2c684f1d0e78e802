"""Whole examinations of configurations with many faults at once."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
import pytest_twisted
from support.configuration import ANY_PORT
from twisted.internet import reactor

from wiredaemon.daemon.doctor.examination import examine
from wiredaemon.daemon.doctor.finding import Finding, Level

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime.now(UTC)

FAULTY: Final = f"""
[data]
folder = "data"
[listen]
http = ["{ANY_PORT}", "nosuch:1", "tcp:x"]
[api]
enabled = "yes"
[limits]
cbor_depth = -1
nosuch_limit = 3
[commands]
load = ["nosuch.py", "broken.py"]
[auth]
htpasswd = "users"
tokens = "nosuch"
[tls]
certificate = "c.pem"
private_key = "k.pem"
[paths]
"/one" = "one"
"""


def errors_of(found: list[Finding]) -> list[str]:
    return [each.area for each in found if each.level is Level.ERROR]


@pytest_twisted.ensureDeferred
async def test_all_faults_are_found_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(FAULTY)
    (tmp_path / "users").write_text("ann\nben\n")
    (tmp_path / "users").chmod(0o644)
    (tmp_path / "broken.py").write_text("import nosuch_module")
    found = await examine(file, reactor, now=NOW)
    assert sorted(errors_of(found)) == [
        "api.enabled",
        "auth.htpasswd",
        "auth.htpasswd",
        "auth.tokens",
        "commands.load",
        "commands.load",
        "limits.cbor_depth",
        "limits.nosuch_limit",
        "listen.http",
        "listen.http",
        "tls.certificate, tls.private_key",
    ]
    warnings = [each.area for each in found if each.level is Level.WARNING]
    assert warnings == ["auth.htpasswd", "paths./one"]
    assert all(each.remedy for each in found if each.level is not Level.FINE)


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_no_toml_is_the_only_finding(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[listen")
    (found,) = await examine(file, reactor, now=NOW)
    assert (found.area, found.level) == ("configuration", Level.ERROR)
    assert found.text.startswith(f"{file} is not TOML: ")


@pytest_twisted.ensureDeferred
async def test_a_wrong_table_has_no_faults_that_follow_from_it(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[listen]\nhttp = "tcp:8000"\n')
    found = await examine(file, reactor, now=NOW)
    assert errors_of(found) == ["listen.http"]


@pytest_twisted.ensureDeferred
async def test_a_user_who_does_not_exist_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f'[listen]\nhttp = ["{ANY_PORT}"]\n')
    found = await examine(file, reactor, user="no such user", now=NOW)
    assert errors_of(found) == ["user"]
    found = await examine(file, reactor, user=getpass.getuser(), now=NOW)
    assert errors_of(found) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")
@pytest_twisted.ensureDeferred
async def test_rights_are_those_of_the_user_who_will_run(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f'[data]\nfolder = "data"\n[listen]\nhttp = ["{ANY_PORT}"]\n')
    (tmp_path / "data").mkdir(mode=0o700)
    assert errors_of(await examine(file, reactor, now=NOW)) == []
    found = await examine(file, reactor, user="nobody", now=NOW)
    assert "data.folder" in errors_of(found)
    assert os.geteuid() == 0
