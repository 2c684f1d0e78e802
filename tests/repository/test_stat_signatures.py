from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.repository.stat_signatures import (
    RARE_SECONDS,
    SAME_MOMENT,
    WatchedFiles,
    stat_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.repository.stat_signatures import StatSignatures


def rewrite(path: Path) -> None:
    path.write_text("other")


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_text(path.read_text())
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [rewrite, replace, touch, remove])
def test_a_changed_file_looks_different(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "hgrc"
    path.write_text("text")
    before = stat_files([os.fsencode(path)])
    change(path)
    assert stat_files([os.fsencode(path)]) != before


def test_a_file_written_over_with_its_old_time_and_size_looks_different(tmp_path: Path) -> None:
    path = tmp_path / "hgrc"
    path.write_text("text")
    os.utime(path, ns=(0, 1))
    before = stat_files([os.fsencode(path)])
    path.write_text("TEXT")
    os.utime(path, ns=(0, 1))
    assert stat_files([os.fsencode(path)]) != before


def test_an_unchanged_file_looks_the_same(tmp_path: Path) -> None:
    path = tmp_path / "hgrc"
    path.write_text("text")
    assert stat_files([os.fsencode(path)]) == stat_files([os.fsencode(path)])


def test_a_missing_file_that_appears_looks_different(tmp_path: Path) -> None:
    path = tmp_path / "hgrc"
    assert stat_files([os.fsencode(path)]) == (None,)
    path.write_text("")
    assert stat_files([os.fsencode(path)]) != (None,)


# --- files for two purposes --------------------------------------------------------------------


class Files:
    """Three files, one of which decides about settings, and how often each was asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.hgrc, self.changelog, self.dirstate = (
            os.fsencode(folder / name) for name in ("hgrc", "changelog", "dirstate")
        )
        for path in (self.hgrc, self.changelog):
            Path(os.fsdecode(path)).write_text("old")
        self.asked: list[bytes] = []
        self._stat = os.stat
        self.watched = WatchedFiles(
            [self.hgrc], [self.changelog, self.hgrc, self.dirstate], lambda: self.now
        )
        self.all = [self.hgrc, self.changelog, self.dirstate]
        monkeypatch.setattr(os, "stat", self._note)

    def _note(self, path: Any, **options: Any) -> os.stat_result:
        if path in self.all:
            self.asked.append(path)
        return self._stat(path, **options)

    def signatures(self) -> StatSignatures:
        """Return what the files are like, without counting."""
        signatures = stat_files(self.all)
        self.asked.clear()
        return signatures


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def test_settings_and_state_of_one_moment_ask_for_each_file_once(files: Files) -> None:
    expected = files.signatures()
    assert files.watched.stat_settings() == expected[:1]
    files.now += SAME_MOMENT / 2
    assert files.watched.stat_state() == expected
    assert files.asked == files.all


def test_the_settings_of_an_earlier_moment_do_not_count(files: Files) -> None:
    files.watched.stat_settings()
    Path(os.fsdecode(files.hgrc)).write_text("other")
    expected = files.signatures()
    files.now += 2 * SAME_MOMENT
    assert files.watched.stat_state() == expected
    assert files.asked == files.all


def test_the_check_afterwards_asks_for_every_file_even_in_the_same_moment(files: Files) -> None:
    before = files.watched.stat_state()
    Path(os.fsdecode(files.hgrc)).write_text("other")
    files.asked.clear()
    assert files.watched.stat_state_anew() != before
    assert files.asked == files.all


def test_without_files_that_decide_about_answers_the_state_is_not_known(files: Files) -> None:
    assert files.watched.knows_state
    assert not WatchedFiles([files.hgrc], [], lambda: files.now).knows_state


def test_a_rare_file_is_looked_at_again_after_a_while(files: Files) -> None:
    settings, state = [files.hgrc], [files.changelog, files.dirstate]
    watched = WatchedFiles(settings, state, lambda: files.now, [files.dirstate])
    assert watched.settings == [files.hgrc, files.dirstate]
    before = watched.stat_settings()
    Path(os.fsdecode(files.dirstate)).write_text("made")
    files.now += RARE_SECONDS / 2
    assert watched.stat_settings() == before
    files.now += RARE_SECONDS
    after = watched.stat_settings()
    assert after == stat_files(watched.settings) != before
    # Which files decide about answers does not depend on when they are looked at.
    assert watched.stat_state() == watched.stat_state_anew()


def test_the_other_files_are_looked_at_each_time_beside_rare_ones(files: Files) -> None:
    watched = WatchedFiles([files.hgrc], [], lambda: files.now, [files.dirstate])
    before = watched.stat_settings()
    Path(os.fsdecode(files.hgrc)).write_text("other")
    assert watched.stat_settings() != before
