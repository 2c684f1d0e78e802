from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from wiredaemon.daemon.config import Config, Data
from wiredaemon.daemon.doctor.finding import Level, fine
from wiredaemon.daemon.doctor.folders import examine_rights
from wiredaemon.daemon.privileges import as_user

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = pwd.getpwnam("nobody")
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_user_who_may_all_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "one" / ".hg").mkdir(parents=True)
    config = Config(data=Data(folder=tmp_path / "data"), paths={"/": tmp_path / "one"})
    assert list(examine_rights(config, "ann")) == [
        fine("data.folder", f"ann may make {tmp_path / 'data'}"),
        fine("paths", "ann may read all folders of [paths]"),
    ]
    assert not (tmp_path / "data").exists()


def test_a_missing_repository_is_a_warning_with_its_key(tmp_path: Path) -> None:
    config = Config(data=Data(folder=tmp_path), paths={"/a": tmp_path / "nosuch"})
    _, found = examine_rights(config, "ann")
    assert (found.area, found.level) == ("paths./a", Level.WARNING)
    assert found.text.startswith(f"the folder {tmp_path / 'nosuch'} is missing")


def test_a_file_in_place_of_the_data_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = examine_rights(Config(data=Data(folder=tmp_path / "file")), "ann")
    assert (found.level, found.text) == (Level.ERROR, f"{tmp_path / 'file'} is not a folder")


@AS_ROOT
def test_what_the_daemons_user_may_not_is_found_by_root(open_folder: Path) -> None:
    data, file, hidden = (open_folder / name for name in ("data", "a.toml", "hidden"))
    data.mkdir(mode=0o700)
    file.touch(mode=0o600)
    (hidden / ".hg").mkdir(parents=True)
    hidden.chmod(0o700)
    config = Config(file=file, data=Data(folder=data), paths={"/": hidden})
    with as_user(NOBODY.pw_uid, None):
        found = list(examine_rights(config, "nobody"))
    assert [(each.level, each.area, each.text) for each in found] == [
        (Level.ERROR, "data.folder", f"nobody may not write {data}"),
        (
            Level.WARNING,
            "paths./",
            f"the folder {hidden} cannot be read: Permission denied",
        ),
        (
            Level.WARNING,
            "configuration",
            f"nobody may not read {file}: root reads it at the start, a reload (SIGHUP) cannot",
        ),
    ]
    assert found[0].remedy == f"mkdir -p {data} && chown nobody {data}"


@AS_ROOT
def test_a_data_folder_that_cannot_be_reached_names_the_folder_in_the_way(
    open_folder: Path,
) -> None:
    way = open_folder / "way"
    (way / "data").mkdir(parents=True)
    way.chmod(0o700)
    with as_user(NOBODY.pw_uid, None):
        (found,) = examine_rights(Config(data=Data(folder=way / "data")), "nobody")
    assert found.text == f"nobody may not enter {way}, the way to {way / 'data'}"
