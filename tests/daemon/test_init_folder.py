from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from twisted.internet.testing import MemoryReactorClock

from wiredaemon.daemon import init_folder as module
from wiredaemon.daemon.check import check
from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.init_folder import InitError, init_folder

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime.now(UTC)


def tree(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".hg" not in path.parts
    }


def test_the_folder_is_ready_to_be_served(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    configuration = init_folder(folder, now=NOW)
    assert configuration == folder / "wiredaemon.toml"
    assert tree(folder) == {
        "wiredaemon.toml",
        "examples/dummycommands.py",
        "data/development-certificate.pem",
        "data/development-key.pem",
    }
    config = load_config(configuration)
    check(config, MemoryReactorClock())
    assert config.data.folder == folder / "data"
    assert config.paths == {"/": folder / "data" / "repository"}
    assert (folder / "data" / "repository" / ".hg" / "requires").is_file()


def test_the_example_commands_can_be_switched_on_as_the_configuration_says(tmp_path: Path) -> None:
    configuration = init_folder(tmp_path, now=NOW)
    text = configuration.read_text("utf-8")
    assert '["examples/dummycommands.py"]' in text
    configuration.write_text(text.replace("load = []", 'load = ["examples/dummycommands.py"]'))
    check(load_config(configuration), MemoryReactorClock())


def test_without_mercurial_the_configuration_has_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "mercurial_is_installed", lambda: False)
    config = load_config(init_folder(tmp_path, now=NOW))
    assert config.paths == {}
    assert not (tmp_path / "data" / "repository").exists()


@pytest.mark.parametrize("name", ["wiredaemon.toml", "data", "examples/dummycommands.py"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / name).write_text("mine")
    with pytest.raises(InitError, match="exists: it is not overwritten"):
        init_folder(tmp_path, now=NOW)
    assert tree(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InitError, match=r"cannot make .*file/.*: Not a directory"):
        init_folder(tmp_path / "file" / "sub", now=NOW)


def test_a_repository_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "make_repository", lambda _folder: "no room")
    with pytest.raises(InitError, match="repository: no room"):
        init_folder(tmp_path, now=NOW)
    assert not (tmp_path / "wiredaemon.toml").exists()
