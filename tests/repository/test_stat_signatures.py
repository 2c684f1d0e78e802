from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from wiredaemon.repository.stat_signatures import stat_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
