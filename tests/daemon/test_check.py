from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from twisted.internet.testing import MemoryReactorClock

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.daemon.certificate import development_certificate
from wiredaemon.daemon.check import check, mistakes
from wiredaemon.daemon.config import Admin, Commands, Config, Data, Framed, Listen, Tls
from wiredaemon.daemon.toml_table import ConfigurationError

NOW: Final = datetime.now(UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(file=tmp_path / "a.toml", data=Data(folder=tmp_path / "data"))


def problem_of(config: Config) -> tuple[str, str, str]:
    """Key, problem and what is accepted, of the error that the check must find."""
    with pytest.raises(ConfigurationError) as caught:
        check(config, MemoryReactorClock())
    assert caught.value.file == config.file
    return caught.value.key, caught.value.problem, caught.value.accepted


def test_the_defaults_can_be_used_and_nothing_is_opened_or_made(
    config: Config, tmp_path: Path
) -> None:
    reactor = MemoryReactorClock()
    check(config, reactor)
    assert (reactor.tcpServers, reactor.sslServers, list(tmp_path.iterdir())) == ([], [], [])


def test_every_kind_of_plain_endpoint_is_accepted(config: Config, tmp_path: Path) -> None:
    endpoints = (
        "tcp:0",
        "tcp:65535:interface=127.0.0.1",
        "tcp:port=8000",
        "tcp:interface=127.0.0.1:port=8000",
        "tcp6:8000",
        f"unix:{tmp_path}/socket",
        "haproxy:tcp:8000",
    )
    check(replace(config, listen=Listen(http=endpoints)), MemoryReactorClock())


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("8000", "8000"),
        ("tcp", "the port is not a number from 0 to 65535"),
        ("tcp:", "the port is not a number from 0 to 65535"),
        ("tcp:http", "the port is not a number from 0 to 65535"),
        ("tcp:port=x", "the port is not a number from 0 to 65535"),
        ("tcp:65536", "the port is not a number from 0 to 65535"),
        ("tcp:-1", "the port is not a number from 0 to 65535"),
        ("tcp:8000:interfaces=127.0.0.1", "interfaces"),
        ("nosuch:8000", "Unknown endpoint type: 'nosuch'"),
        ("ssl:8443", "TLS is listen.https or listen.framed_tls"),
    ],
)
@pytest.mark.parametrize("listener", ["http", "https", "framed", "framed_tls"])
def test_a_wrong_endpoint_is_named_with_its_list(
    config: Config, listener: str, endpoint: str, problem: str
) -> None:
    entries: Any = ("tcp:0", endpoint)
    if listener.startswith("framed"):
        entries = tuple(Framed(entry) for entry in entries)
    wrong = replace(config, listen=replace(Listen(), **{listener: entries}))
    key, found, accepted = problem_of(wrong)
    assert key == f"listen.{listener}"
    assert found.startswith(f"{endpoint!r} is no endpoint: ")
    assert problem in found
    assert "tcp:8000:interface=127.0.0.1" in accepted


def test_listeners_of_metrics_are_checked_as_all_others(config: Config) -> None:
    check(replace(config, admin=Admin(listen=("tcp:0",))), MemoryReactorClock())
    key, problem, _ = problem_of(replace(config, admin=Admin(listen=("nosuch:1",))))
    assert (key, problem) == (
        "admin.listen",
        "'nosuch:1' is no endpoint: Unknown endpoint type: 'nosuch'",
    )


def test_metrics_without_their_library_are_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    check(config, MemoryReactorClock())
    assert problem_of(replace(config, admin=Admin(listen=("tcp:0",)))) == (
        "admin.listen",
        "metrics need prometheus_client, which is not installed",
        "an installation with the extra: pip install 'wiredaemon[metrics]'",
    )


def test_a_daemon_of_metrics_alone_is_refused(config: Config) -> None:
    key, problem, _ = problem_of(replace(config, listen=Listen(), admin=Admin(listen=("tcp:0",))))
    assert (key, problem) == ("listen", "nothing to listen on")


def test_a_daemon_without_any_listener_is_refused(config: Config) -> None:
    assert problem_of(replace(config, listen=Listen())) == (
        "listen",
        "nothing to listen on",
        "one endpoint in listen.http or listen.https or listen.framed or listen.framed_tls",
    )


def test_a_data_folder_that_is_a_file_is_refused(config: Config) -> None:
    config.data.folder.touch()
    key, problem, _ = problem_of(config)
    assert (key, problem) == ("data.folder", f"{config.data.folder} is not a folder")


def test_a_certificate_and_its_key_are_accepted(config: Config, tmp_path: Path) -> None:
    files = development_certificate(tmp_path, now=NOW)
    tls = Tls(certificate=files.certificate, private_key=files.private_key)
    check(replace(config, tls=tls), MemoryReactorClock())


def test_a_certificate_that_is_missing_is_refused(config: Config, tmp_path: Path) -> None:
    tls = Tls(certificate=tmp_path / "c.pem", private_key=tmp_path / "k.pem")
    key, problem, accepted = problem_of(replace(config, tls=tls))
    assert key == "tls.certificate, tls.private_key"
    assert problem == f"{tmp_path / 'c.pem'} cannot be read: No such file or directory"
    assert "PEM" in accepted


def test_a_certificate_with_another_key_is_refused(config: Config, tmp_path: Path) -> None:
    one = development_certificate(tmp_path / "one", now=NOW)
    two = development_certificate(tmp_path / "two", now=NOW)
    tls = Tls(certificate=one.certificate, private_key=two.private_key)
    _, problem, _ = problem_of(replace(config, tls=tls))
    assert problem == f"{one.certificate} does not belong to {two.private_key}"


def test_command_files_and_modules_that_exist_are_accepted(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "commands.py"
    file.touch()
    check(replace(config, commands=Commands(load=(file, "json.tool"))), MemoryReactorClock())


@pytest.mark.parametrize("source", [Path("/nosuch/commands.py"), "nosuch_package.module"])
def test_a_command_file_or_module_that_is_missing_is_refused(
    config: Config, source: Path | str
) -> None:
    key, problem, accepted = problem_of(replace(config, commands=Commands(load=(source,))))
    assert (key, problem) == ("commands.load", f"{source} does not exist")
    assert 'a file ("file.py")' in accepted


@pytest.mark.parametrize("key", ["htpasswd", "tokens", "groups"])
def test_a_wrong_file_of_accounts_is_found_with_its_line(
    config: Config, tmp_path: Path, key: str
) -> None:
    file = tmp_path / key
    file.write_text("# who\n\nann\n", "utf-8")
    auth = replace(AuthConfig(), **{key: file})  # type: ignore[arg-type] # one of three fields
    named, problem, _ = problem_of(replace(config, auth=auth))
    assert named == f"auth.{key}"
    assert problem.startswith(f"{file} line 3: a line is ")


def test_a_missing_file_of_accounts_says_how_to_make_it(config: Config, tmp_path: Path) -> None:
    key, problem, accepted = problem_of(
        replace(config, auth=AuthConfig(htpasswd=tmp_path / "nosuch"))
    )
    assert (key, problem) == (
        "auth.htpasswd",
        f"{tmp_path}/nosuch: cannot be read: No such file or directory",
    )
    assert "`wiredaemon user add`" in accepted


def test_every_mistake_is_told_and_the_first_one_is_raised(config: Config, tmp_path: Path) -> None:
    wrong = replace(
        config,
        listen=Listen(http=("tcp:x", "tcp:0", "tcp:y")),
        commands=Commands(load=("nosuch_package",)),
        auth=AuthConfig(htpasswd=tmp_path / "a", groups=tmp_path / "b"),
    )
    found = list(mistakes(wrong, MemoryReactorClock()))
    assert [each.key for each in found] == [
        "listen.http",
        "listen.http",
        "commands.load",
        "auth.htpasswd",
        "auth.groups",
    ]
    assert problem_of(wrong) == (found[0].key, found[0].problem, found[0].accepted)
