from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from wiredaemon.daemon.cli import main
from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.folders import folder_warnings, moved_warnings

if TYPE_CHECKING:
    from pathlib import Path

WHEN: Final = "is served when it is there"
MISSING: Final = "is missing; its repositories are served when it is there"


def warnings(folder: Path, text: str) -> list[str]:
    file = folder / "a.toml"
    file.write_text(text)
    config = load_config(file)
    return [*folder_warnings(config), *moved_warnings(config)]


def make(folder: Path, *repositories: str) -> None:
    for name in repositories:
        (folder / name / ".hg").mkdir(parents=True)


def test_folders_that_are_as_they_should_be_need_no_word(tmp_path: Path) -> None:
    make(tmp_path, "one", "all/two")
    text = """
[paths]
"/one" = "one"
"/all/*" = "all/*"
"/*" = "all/*"
[moved]
"/old" = "/one"
"/all/old" = "/all/two"
"/all/two/file" = "/one"
"""
    assert warnings(tmp_path, text) == []


def test_folders_that_are_missing_or_hold_no_repository_are_named_with_their_keys(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    text = """
[paths]
"/missing" = "missing"
"/file" = "file"
"/empty" = "empty"
"/team/*" = "missing/*"
"/**" = "missing/all/**"
"/files/*" = "file/*"
"/empty/*" = "empty/*"
"""
    assert warnings(tmp_path, text) == [
        f"paths./missing: the folder {tmp_path}/missing is missing; the repository {WHEN}",
        f"paths./file: {tmp_path}/file is not a folder",
        f"paths./empty: there is no repository in {tmp_path}/empty; it {WHEN}",
        f"paths./team/*: the folder {tmp_path}/missing {MISSING}",
        f"paths./**: the folder {tmp_path}/missing/all {MISSING}",
        f"paths./files/*: {tmp_path}/file is not a folder",
    ]


@pytest.mark.parametrize("mode", [0o000, 0o300])
def test_folders_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path, mode: int) -> None:
    make(tmp_path, "one", "shut/two", "all/three")
    shut = [tmp_path / name for name in ("one/.hg", "shut", "all")]
    for folder in shut:
        folder.chmod(mode)
    if os.access(shut[0], os.R_OK):
        pytest.skip("root may read everything")
    text = """
[paths]
"/one" = "one"
"/two" = "shut/two"
"/all/*" = "all/*"
"""
    found = warnings(tmp_path, text)
    for folder in shut:
        folder.chmod(0o700)
    reason = "cannot be read: Permission denied"
    hidden = [f"paths./two: the folder {tmp_path}/shut/two {reason}"] if mode == 0 else []
    assert found == [
        f"paths./one: the folder {tmp_path}/one/.hg {reason}",
        *hidden,
        f"paths./all/*: the folder {tmp_path}/all {reason}",
    ]


def test_a_circle_of_links_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (found,) = warnings(tmp_path, '[paths]\n"/circle/*" = "circle/*"\n')
    assert found.startswith("paths./circle/*: ")
    assert found.endswith("cannot be read: Too many levels of symbolic links")


def test_an_old_path_at_which_a_collection_has_a_repository_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "all/old", "all/new", "all/sub/inner")
    text = """
[paths]
"/team/*" = "all/*"
[moved]
"/team/old" = "/team/new"
"/team/sub" = "/team/new"
"/gone" = "/team/new"
"""
    (found,) = warnings(tmp_path, text)
    assert found == (
        "moved./team/old: there is a repository at /team/old, which is served in place of what has"
        " moved"
    )
    assert main(["check-config", str(tmp_path / "a.toml")]) == 0
    assert capsys.readouterr() == (
        f"{tmp_path}/a.toml: OK\n",
        f"wiredaemon: {tmp_path}/a.toml: warning: {found}\n",
    )
