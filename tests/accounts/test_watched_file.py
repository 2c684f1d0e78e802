from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.accounts import rewrite
from support.descriptors import no_descriptors
from support.logs import observed, texts_of

from wiredaemon.accounts.files import LARGEST_FILE, AccountsFileError
from wiredaemon.accounts.groups import parse_groups
from wiredaemon.accounts.watched_file import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANN: Mapping[str, frozenset[str]] = {"ann": frozenset({"crew"})}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return rewrite(tmp_path / "groups", "crew: ann\n")


def test_a_changed_file_is_read_again(file: Path) -> None:
    watched = WatchedFile(file, parse_groups)
    assert (watched.value, watched.refresh()) == (ANN, False)
    rewrite(file, "crew: bob\n")
    assert watched.refresh()
    assert watched.value == {"bob": frozenset({"crew"})}
    assert not watched.refresh()


def test_a_wrong_new_file_is_logged_once_and_the_old_contents_stay(file: Path) -> None:
    watched = WatchedFile(file, parse_groups)
    rewrite(file, "crew: ann\nnonsense\n")
    with observed("wiredaemon.accounts") as events:
        assert [watched.refresh() for _ in range(3)] == [False] * 3
    assert texts_of(events) == [
        f"{file} line 2: a line is GROUP: USER USER; what it said before still counts"
    ]
    assert watched.value == ANN


def test_a_file_that_is_gone_is_logged_once_and_read_when_it_is_back(file: Path) -> None:
    watched = WatchedFile(file, parse_groups)
    file.unlink()
    with observed("wiredaemon.accounts") as events:
        assert [watched.refresh() for _ in range(3)] == [False] * 3
    assert texts_of(events) == [
        f"{file}: cannot be read: No such file or directory; what it said before still counts"
    ]
    assert watched.value == ANN
    rewrite(file, "crew: bob\n")
    assert watched.refresh()
    assert watched.value == {"bob": frozenset({"crew"})}


def test_a_file_that_cannot_be_read_for_now_is_logged_once_and_read_when_it_can(file: Path) -> None:
    watched = WatchedFile(file, parse_groups)
    rewrite(file, "crew: bob\n")
    with observed("wiredaemon.accounts") as events:
        with no_descriptors():
            assert [watched.refresh() for _ in range(3)] == [False] * 3
        assert watched.value == ANN
        # The file has not changed meanwhile.
        assert watched.refresh()
    assert watched.value == {"bob": frozenset({"crew"})}
    assert texts_of(events) == [
        f"{file}: cannot be read: Too many open files; what it said before still counts",
        f"{file} was read again",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"crew: ann\n\nb\xe4d: ann\n", "line 3: is not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), f"is larger than {LARGEST_FILE} bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_at_first(
    file: Path, content: bytes, problem: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(AccountsFileError, match=problem):
        WatchedFile(file, parse_groups)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(AccountsFileError, match="cannot be read: Is a directory"):
        WatchedFile(tmp_path, parse_groups)
