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


def test_files_of_user_and_system_are_watched_before_they_are_there(
    empty: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HGRCPATH", str(tmp_path / "missing"))
    paths = watched.config_paths(open_repository(empty.path))
    assert os.fsencode(tmp_path / "missing") in paths
    # Files of packages are read beside the system's.
    assert os.fsencode(tmp_path / "hgrc.d") in paths
