from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from wiredaemon.worker import watched_paths as watched
from wiredaemon.worker.opening import open_repository

if TYPE_CHECKING:
    from pathlib import Path

    from worker.conftest import Repository


@pytest.mark.usefixtures("garbage_of_test_collected")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
# Mercurial leaves included configuration files to the garbage collector.
def test_included_files_are_watched_though_they_are_empty_or_missing(empty: Repository) -> None:
    folder = empty.hgrc.parent
    empty.hgrc.write_text("%include one\n%include two\n")
    (folder / "one").write_text("# nothing\n%include deeper/three\n")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "three").write_text("")
    paths = watched.config_paths(open_repository(empty.path))
    expected = [folder / "one", folder / "deeper" / "three", folder / "two"]
    assert {os.fsencode(path) for path in expected} <= set(paths)
    assert len(set(paths)) == len(paths)


def test_places_of_files_of_user_and_system_are_watched_before_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named = [tmp_path / "missing", tmp_path / "folder", tmp_path / "none" / "hgrc"]
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("HGRCPATH", os.pathsep.join(map(str, named)))
    # A folder, because files may come into it; and where it is missing, nothing in it.
    expected = [tmp_path / "missing", tmp_path / "folder", tmp_path / "none"]
    assert set(watched.rare_paths()) == {os.fsencode(path) for path in expected}


def test_files_that_are_there_are_watched_though_they_say_nothing(
    empty: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named = tmp_path / "hgrc"
    named.write_text("# nothing\n")
    monkeypatch.setenv("HGRCPATH", str(named))
    assert os.fsencode(named) in watched.config_paths(open_repository(empty.path))
    assert watched.rare_paths() == []


def test_the_usual_places_are_watched_where_none_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HGRCPATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    paths = watched.rare_paths()
    assert os.fsencode(tmp_path / ".hgrc") in paths
    assert {path for path in paths if path.startswith(b"/etc/mercurial")}
