"""Repositories, opened by real workers."""

# mypy: disable-error-code="untyped-decorator"
# pytest-twisted has no annotations.

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
import pytest_twisted
from support.repositories import make_repository, write_hgrc
from twisted.internet import reactor

from wiredaemon.daemon.config import Config, Data
from wiredaemon.daemon.doctor import workers
from wiredaemon.daemon.doctor.finding import Finding, Level, fine
from wiredaemon.daemon.doctor.workers import examine_repositories
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

NOBODY: Final = pwd.getpwnam("nobody")
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture(autouse=True)
def no_hgrc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HGRCPATH", "")


def config_of(tmp_path: Path, **paths: Path) -> Config:
    return Config(
        data=Data(folder=tmp_path / "data"),
        paths={f"/{name}".replace("all", "all/*"): path for name, path in paths.items()},
    )


def of(path: Path, found: list[Finding]) -> list[tuple[Level, str]]:
    return [(each.level, each.text) for each in found if each.area == f"repository {path}"]


@pytest_twisted.ensureDeferred
async def test_each_repository_is_opened_once_and_the_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "hg" / "deep").mkdir(parents=True)
    one = make_repository(tmp_path / "hg" / "one")
    two = make_repository(tmp_path / "hg" / "deep" / "two")
    config = config_of(tmp_path, all=tmp_path / "hg", one=one)
    found = await examine_repositories(config, reactor)
    assert found[0].text.startswith("a worker has started, with Mercurial 7.")
    assert found[1:] == [fine(f"repository {path}", "it can be opened") for path in (one, two)]


@pytest_twisted.ensureDeferred
async def test_every_repository_that_cannot_be_opened_is_named_with_the_reason(
    tmp_path: Path,
) -> None:
    one, two, three = (make_repository(tmp_path / name) for name in ("one", "two", "three"))
    (one / ".hg" / "requires").write_text("nosuchformat\n")
    write_hgrc(two, "[web]\npush_ssl = perhaps\n")
    config = config_of(tmp_path, one=one, two=two, three=three)
    found = await examine_repositories(config, reactor)
    ((level, text),) = of(one, found)
    assert level is Level.ERROR
    assert "nosuchformat" in text
    ((level, text),) = of(two, found)
    assert level is Level.ERROR
    assert "push_ssl" in text
    assert of(three, found) == [(Level.FINE, "it can be opened")]


@AS_ROOT
@pytest_twisted.ensureDeferred
async def test_what_a_worker_prints_about_a_repository_is_a_warning(tmp_path: Path) -> None:
    one = make_repository(tmp_path / "one")
    write_hgrc(one, "[web]\ncontact = ann\n")
    os.chown(one / ".hg" / "hgrc", NOBODY.pw_uid, -1)
    found = of(one, await examine_repositories(config_of(tmp_path, one=one), reactor))
    assert [level for level, _ in found] == [Level.WARNING, Level.FINE]
    assert "not trusting file" in found[0][1]


@pytest_twisted.ensureDeferred
async def test_a_transaction_that_was_broken_off_is_told(tmp_path: Path) -> None:
    one = make_repository(tmp_path / "one")
    journal = one / ".hg" / "store" / "journal"
    journal.touch()
    found = of(one, await examine_repositories(config_of(tmp_path, one=one), reactor))
    assert found == [(Level.WARNING, "a push is running, or was broken off")]
    assert journal.exists()


@pytest_twisted.ensureDeferred
async def test_a_worker_that_does_not_start_is_an_error_with_its_reason(tmp_path: Path) -> None:
    one = make_repository(tmp_path / "one")
    config = replace(
        config_of(tmp_path, one=one), limits=replace(Limits(), worker_start_seconds=0.01)
    )
    (found,) = await examine_repositories(config, reactor)
    assert (found.area, found.level) == ("workers", Level.ERROR)
    assert "it was not ready within 0.01 s" in found.text


@pytest_twisted.ensureDeferred
async def test_a_daemon_of_commands_needs_no_worker(tmp_path: Path) -> None:
    (found,) = await examine_repositories(config_of(tmp_path), reactor)
    assert found.level is Level.FINE
    assert "[paths] is empty" in found.text


@pytest_twisted.ensureDeferred
async def test_the_repositories_that_are_opened_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MOST_REPOSITORIES", 1)
    one, two = (make_repository(tmp_path / name) for name in ("one", "two"))
    found = await examine_repositories(config_of(tmp_path, one=one, two=two), reactor)
    assert of(one, found) == [(Level.FINE, "it can be opened")]
    assert found[-1].text == "only the first 1 repositories were opened"


@AS_ROOT
@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_be_written_is_told_where_users_may_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_repository(tmp_path / "one")
    # Root may write everything but what is on a read-only disk, which takes a mount.
    monkeypatch.setattr(os, "access", lambda path, mode: (path.name, mode) != ("store", os.W_OK))
    config = replace(config_of(tmp_path, one=one), web=AccessRules(allow_push=("ann",)))
    found = of(one, await examine_repositories(config, reactor))
    store = one / ".hg" / "store"
    assert found == [(Level.WARNING, f"allow-push lets users push, and {store} cannot be written")]


@pytest_twisted.ensureDeferred
async def test_a_repository_that_hangs_is_left_behind_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "OPEN_SECONDS", 1.0)
    one = make_repository(tmp_path / "one")
    # Nobody ever writes into it.
    os.mkfifo(tmp_path / "never")
    extension = tmp_path / "hang.py"
    extension.write_text(f"def reposetup(ui, repo):\n    open({str(tmp_path / 'never')!r})\n")
    write_hgrc(one, f"[extensions]\nhang = {extension}\n")
    config = replace(config_of(tmp_path, one=one), limits=replace(Limits(), worker_read_grace=0.1))
    found = of(one, await examine_repositories(config, reactor))
    assert found == [(Level.ERROR, "it was not open within 1 s")]
