from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import DEADLINE, Daemon
from support.environment import environment
from twisted.internet.testing import MemoryReactorClock

from wiredaemon.daemon.config import Commands, Config, Data, Listen, Tls
from wiredaemon.daemon.service import WireDaemonService
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

TWISTD: Final = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
FRAMINGS: Final = {"exp-http-v2-0003": ("0006",)}


def test_nothing_is_opened_before_the_service_is_started(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    listen = Listen(http=("tcp:8000:interface=127.0.0.1",))
    service = WireDaemonService(Config(data=Data(folder=tmp_path), listen=listen), reactor)
    assert not reactor.tcpServers
    service.privilegedStartService()
    assert [server[0] for server in reactor.tcpServers] == [8000]


def test_commands_that_cannot_be_loaded_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import nothing_of_that_name\n")
    config = Config(data=Data(folder=tmp_path), commands=Commands(load=(file,)))
    with pytest.raises(ConfigurationError, match="nothing_of_that_name"):
        WireDaemonService(config, MemoryReactorClock())


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("no certificate\n")
    config = Config(
        data=Data(folder=tmp_path),
        listen=Listen(https=("tcp:0:interface=127.0.0.1",)),
        tls=Tls(certificate=file, private_key=file),
    )
    with pytest.raises(ConfigurationError, match=r"cert\.pem"):
        WireDaemonService(config, MemoryReactorClock())


def test_a_command_declared_twice_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "twice.py"
    file.write_text(
        "from wiredaemon.commands import Permission, command\n"
        "@command('capabilities', permission=Permission.RO)\n"
        "def capabilities(context): return b''\n"
    )
    config = Config(data=Data(folder=tmp_path), commands=Commands(load=(file,)))
    with pytest.raises(ConfigurationError, match="capabilities is declared twice"):
        WireDaemonService(config, MemoryReactorClock())


def test_a_port_in_use_is_an_error_with_status_1_and_no_traceback(tmp_path: Path) -> None:
    with Daemon.start(
        configuration(data=tmp_path / "first", framings=FRAMINGS, load=()), tmp_path
    ) as daemon:
        file = tmp_path / "second.toml"
        file.write_text(
            f'[data]\nfolder = "second"\n'
            f'[listen]\nhttp = ["tcp:{daemon.port()}:interface=127.0.0.1"]\n'
        )
        done = subprocess.run(
            [sys.executable, "-m", "wiredaemon", "serve", "--config", str(file)],
            capture_output=True,
            check=False,
            timeout=DEADLINE,
            env=environment(),
            cwd=tmp_path,
        )
    assert done.returncode == 1
    assert b"cannot listen on tcp:" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_port_in_use_is_told_to_who_started_the_daemon_in_the_background(
    tmp_path: Path,
) -> None:
    with Daemon.start(
        configuration(data=tmp_path / "first", framings=FRAMINGS, load=()), tmp_path
    ) as daemon:
        file = tmp_path / "second.toml"
        file.write_text(
            f'[data]\nfolder = "second"\n'
            f'[listen]\nhttp = ["tcp:{daemon.port()}:interface=127.0.0.1"]\n'
        )
        done = subprocess.run(
            [*TWISTD, "wiredaemon", "--config", str(file)],
            capture_output=True,
            check=False,
            timeout=DEADLINE,
            env=environment(),
            cwd=tmp_path,
        )
    assert done.returncode == 1
    assert b"cannot listen on tcp:" in done.stderr + done.stdout
