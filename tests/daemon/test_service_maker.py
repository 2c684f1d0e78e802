"""From the options of ``twistd wiredaemon`` to the configuration its service is given."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from twisted.application.service import IServiceMaker, Service
from twisted.internet import reactor
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError

from wiredaemon import __version__
from wiredaemon.daemon.service_maker import Options, makeService
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wiredaemon.daemon.config import Config


class RecordingService(Service):
    """Stands for the real service, and keeps what it was made with."""

    def __init__(self, config: Config, used_reactor: Any, load: Callable[[], Config]) -> None:
        self.config = config
        self.reactor = used_reactor
        self.load = load


@pytest.fixture(autouse=True)
def _recording_service(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordingService)


def install(monkeypatch: pytest.MonkeyPatch, service: Any) -> None:
    """Put ``service`` in the place of the real one."""
    module = ModuleType("wiredaemon.daemon.service")
    module.WireDaemonService = service  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def service_for(*arguments: object) -> RecordingService:
    options = Options()
    options.parseOptions([str(argument) for argument in arguments])
    service = makeService(options)
    assert isinstance(service, RecordingService)
    return service


def test_a_configuration_reaches_the_service_with_the_reactor(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[listen]\nhttp = ["tcp:0"]\n[paths]\n"/" = "server"')
    service = service_for("--config", file)
    assert service.reactor is reactor
    assert service.config.file == file
    assert service.config.paths == {"/": tmp_path / "server"}
    assert list(tmp_path.iterdir()) == [file]
    file.write_text('[listen]\nhttp = ["tcp:0"]\n[paths]\n"/" = "another"')
    assert service.load().paths == {"/": tmp_path / "another"}


def test_https_without_a_certificate_gets_one_in_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[data]\nfolder = "state"\n[listen]\nhttps = ["tcp:0"]')
    tls = service_for("--config", file).config.tls
    assert tls.certificate == tmp_path / "state" / "development-certificate.pem"
    assert tls.certificate.is_file()


def test_without_configuration_the_embedded_default_is_made_in_the_given_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = service_for("--data", "data").config
    assert (config.file, config.data.folder) == (None, tmp_path / "data")
    assert (tmp_path / "data" / "repository" / ".hg").is_dir()


def test_without_any_option_the_data_folder_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert service_for().config.data.folder == tmp_path / "wiredaemon"


def test_a_configuration_and_a_data_folder_together_are_refused() -> None:
    with pytest.raises(UsageError, match="--data is for the embedded default"):
        Options().parseOptions(["--config", "a", "--data", "b"])


@pytest.mark.parametrize("text", ["[nosuch]", '[listen]\nhttp = ["tcp:x"]'])
def test_a_wrong_configuration_ends_the_program_with_its_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(SystemExit) as caught:
        service_for("--config", file)
    assert str(caught.value.code).startswith(f"wiredaemon: {file}: ")


def test_what_the_service_finds_wrong_ends_the_program_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[listen]\nhttp = ["tcp:0"]')

    def refuse(config: Config, _reactor: Any, _load: object) -> None:
        raise ConfigurationError(config.file, "commands.load", "is broken", "what works")

    install(monkeypatch, refuse)
    with pytest.raises(SystemExit) as caught:
        service_for("--config", file)
    assert caught.value.code == (
        f"wiredaemon: {file}: commands.load: is broken (accepted: what works)"
    )


def test_the_version_is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Options().parseOptions(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"wiredaemon {__version__}\n")


def test_the_plugin_is_found_and_leads_here() -> None:
    (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "wiredaemon"]
    assert (maker.options, maker.makeService) == (Options, makeService)
