from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, LogLevel, capturedLogs

from wiredaemon.daemon import embedded
from wiredaemon.daemon.check import check
from wiredaemon.daemon.config import LOOPBACK, Config, Data, Listen, Tls
from wiredaemon.daemon.embedded import (
    default_data_folder,
    embedded_config,
    make_repository,
    with_certificate,
)
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

NOW: Final = datetime.now(UTC)


@pytest.fixture
def logged() -> Iterator[Sequence[LogEvent]]:
    """The events logged during the test."""
    with capturedLogs() as events:
        yield events


def complaints(logged: Sequence[LogEvent]) -> list[LogEvent]:
    return [event for event in logged if event["log_level"] >= LogLevel.warn]


@pytest.fixture
def no_mercurial(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "mercurial" else importlib.util.find_spec(name, package)

    monkeypatch.setattr(embedded, "find_spec", find_spec)


def test_the_data_folder_is_where_xdg_says() -> None:
    home = Path("/home/ann")
    assert default_data_folder({"XDG_DATA_HOME": "/x"}, home) == Path("/x/wiredaemon")
    for nothing in ({}, {"XDG_DATA_HOME": ""}, {"XDG_DATA_HOME": "relative"}):
        assert default_data_folder(nothing, home) == Path("/home/ann/.local/share/wiredaemon")


def test_the_embedded_default_makes_what_it_serves_and_can_be_used(
    tmp_path: Path, logged: Sequence[LogEvent]
) -> None:
    folder = tmp_path / "new" / "data"
    config = embedded_config(folder, now=NOW)
    assert config == Config(
        file=None,
        data=Data(folder=folder),
        listen=LOOPBACK,
        tls=Tls(
            certificate=folder / "development-certificate.pem",
            private_key=folder / "development-key.pem",
        ),
        paths={"/": folder / "repository"},
    )
    assert (folder / "repository" / ".hg" / "requires").is_file()
    assert {path.name for path in folder.iterdir()} == {
        "development-certificate.pem",
        "development-key.pem",
        "repository",
    }
    check(config, MemoryReactorClock())
    assert complaints(logged) == []


def test_everything_the_embedded_default_listens_on_is_loopback() -> None:
    endpoints = [each for kind in LOOPBACK.endpoints().values() for each in kind]
    assert len(endpoints) == 4
    assert all(endpoint.endswith(":interface=127.0.0.1") for endpoint in endpoints)


def test_a_second_start_keeps_what_the_first_one_made(tmp_path: Path) -> None:
    first = embedded_config(tmp_path, now=NOW)
    marker = tmp_path / "repository" / "work"
    marker.touch()
    assert first.tls.certificate is not None
    before = first.tls.certificate.read_bytes()
    assert embedded_config(tmp_path, now=NOW) == first
    assert marker.exists()
    assert first.tls.certificate.read_bytes() == before


@pytest.mark.usefixtures("no_mercurial")
def test_without_mercurial_it_serves_commands_only_and_says_so(
    tmp_path: Path, logged: Sequence[LogEvent]
) -> None:
    assert embedded_config(tmp_path, now=NOW).paths == {}
    assert not (tmp_path / "repository").exists()
    assert [event["log_format"] for event in complaints(logged)] == [
        "Mercurial is not installed (extra wiredaemon[hg]): serving commands only"
    ]


def test_a_repository_that_cannot_be_made_is_said_with_its_reason(
    tmp_path: Path, logged: Sequence[LogEvent]
) -> None:
    (tmp_path / "repository").write_text("in the way")
    config = embedded_config(tmp_path, now=NOW)
    assert config.paths == {"/": tmp_path / "repository"}
    ((repository, problem),) = [
        (event["repository"], event["problem"]) for event in complaints(logged)
    ]
    assert repository == tmp_path / "repository"
    assert "Not a directory" in problem


def test_a_failing_mercurial_leaves_nothing_and_gives_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hgrc = tmp_path / "hgrc"
    hgrc.write_text("no section\n")
    monkeypatch.setenv("HGRCPATH", str(hgrc))
    problem = make_repository(tmp_path / "data" / "repository")
    assert problem is not None
    assert str(hgrc) in problem
    assert list((tmp_path / "data").iterdir()) == []


def test_a_data_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"data\.folder: cannot write .* Not a directory"):
        embedded_config(tmp_path / "file" / "data", now=NOW)


def test_a_configuration_without_certificate_gets_the_development_one(tmp_path: Path) -> None:
    config = with_certificate(Config(data=Data(folder=tmp_path)), now=NOW)
    assert config.tls.certificate == tmp_path / "development-certificate.pem"


def test_no_certificate_is_made_where_none_is_needed(tmp_path: Path) -> None:
    config = Config(data=Data(folder=tmp_path), listen=Listen(http=("tcp:0",)))
    assert with_certificate(config, now=NOW) == config
    given = replace(
        Config(data=Data(folder=tmp_path)),
        tls=Tls(certificate=tmp_path / "c", private_key=tmp_path / "k"),
    )
    assert with_certificate(given, now=NOW) == given
    assert list(tmp_path.iterdir()) == []
