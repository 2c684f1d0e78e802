from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from wiredaemon.accounts.editing import edit
from wiredaemon.accounts.files import AccountsFileError

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "users"
    edit(file, lambda text: f"{text}new\n")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new\n", 0o600)
    assert names(tmp_path) == ["users"]


def test_a_file_keeps_its_permissions_and_is_replaced_not_written(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("old\n")
    file.chmod(0o640)
    before = file.stat().st_ino
    with file.open() as reader:
        edit(file, lambda text: f"{text}new\n")
        assert reader.read() == "old\n"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("old\nnew\n", 0o640)
    assert file.stat().st_ino != before


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old\n")
    link.symlink_to("real")
    edit(link, lambda _: "new\n")
    assert (link.is_symlink(), real.read_text()) == (True, "new\n")


@pytest.mark.parametrize("before", [None, "old\n"])
def test_a_change_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, before: str | None
) -> None:
    file = tmp_path / "users"
    if before is not None:
        file.write_text(before)

    def fail(text: str) -> str:
        raise KeyError(text)

    with pytest.raises(KeyError):
        edit(file, fail)
    assert (file.read_text() if file.exists() else None) == before
    assert names(tmp_path) == ([] if before is None else ["users"])


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    file = tmp_path / "users"
    start = threading.Barrier(8)

    def add(number: int) -> None:
        start.wait()
        for each in range(20):
            edit(file, lambda text: f"{text}{number} {each}\n")  # noqa: B023 called at once

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))
    assert sorted(file.read_text().splitlines()) == sorted(
        f"{number} {each}" for number in range(8) for each in range(20)
    )
    assert names(tmp_path) == ["users"]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AccountsFileError, match="cannot be changed: No such file or directory"):
        edit(tmp_path / "nosuch" / "users", lambda text: text)
    with pytest.raises(AccountsFileError, match="cannot be changed: Is a directory"):
        edit(tmp_path, lambda text: text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_the_owner_stays_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("old\n")
    os.chown(file, 12345, 12346)
    edit(file, lambda _: "new\n")
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 12346)
