"""Which Mercurial 6.0.3 is used; making one takes two minutes and is left to who needs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tools import mercurial6

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def _forgotten() -> Iterator[None]:
    mercurial6.mercurial.cache_clear()
    yield
    mercurial6.mercurial.cache_clear()


def make(folder: Path, *names: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.usefixtures("_forgotten")
def test_one_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(mercurial6.VARIABLE, str(tmp_path / "hg"))
    assert mercurial6.mercurial6() == tmp_path / "hg"


def test_a_complete_one_is_used_as_it_is(tmp_path: Path) -> None:
    folder = make(tmp_path / "hg", "bin/hg", "bin/python", "complete")
    assert mercurial6.installed(folder) == folder / "bin" / "hg"


@pytest.mark.usefixtures("_forgotten")
def test_each_release_has_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mercurial6, "CACHE", tmp_path)
    for version in ("5.9.3", "6.9.5"):
        folder = make(tmp_path / f"hg-{version}", "bin/hg", "bin/python", "complete")
        assert mercurial6.mercurial(version) == folder / "bin" / "hg"


@pytest.mark.parametrize("names", [("bin/hg", "bin/python"), ("bin/hg", "complete"), ()])
def test_one_that_is_half_made_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = make(tmp_path / "cache" / "hg", *names)
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(mercurial6.UnavailableError, match=r"there is no no-such-compiler$"):
        mercurial6.installed(folder)


def test_a_python_that_is_too_new_needs_an_older_one_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(mercurial6.UnavailableError, match=r"needs an older Python: one of python3"):
        mercurial6.installed(tmp_path / "hg")
