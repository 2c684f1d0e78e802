"""What the daemon tells a service manager, over a real socket."""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from twisted.internet.task import Clock

from wiredaemon.daemon.cli import main
from wiredaemon.daemon.config import Server
from wiredaemon.daemon.service_manager import ServiceManager
from wiredaemon.daemon.stopping import LAST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT: Final = Path(__file__).parents[2] / "conf" / "wiredaemon.service"
OURS: Final = str(os.getpid())


class Manager:
    """The end of a manager: a datagram socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(30)
        self.address = address.replace("\0", "@")

    def receive(self) -> str:
        return self.socket.recv(4096).decode()

    def receive_all(self) -> list[str]:
        """All that has come already."""
        self.socket.settimeout(0)
        said = []
        try:
            while True:
                said.append(self.receive())
        except BlockingIOError:
            return said
        finally:
            self.socket.settimeout(30)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify")
    made = Manager(f"\0{address}" if request.param == "abstract" else address)
    yield made
    made.socket.close()


def test_each_state_is_told(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, "HOME": "/"}
    told = ServiceManager(Clock(), environment)
    assert environment == {"HOME": "/"}  # workers and hooks have nothing of it
    told.tell_ready()
    told.tell_reloading()
    told.tell_ready()
    told.tell_stopping()
    first, reloading, *rest = manager.receive_all()
    assert [first, *rest] == ["READY=1", "READY=1", "STOPPING=1"]
    words = dict(line.split("=") for line in reloading.splitlines())
    assert words["RELOADING"] == "1"
    assert int(words["MONOTONIC_USEC"]) > 0


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_PID": OURS}])
def test_a_watching_manager_hears_twice_in_its_time(
    manager: Manager, watched: dict[str, str]
) -> None:
    clock = Clock()
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000", **watched}
    told = ServiceManager(clock, environment)
    clock.advance(60)
    assert manager.receive_all() == []
    told.tell_ready()
    told.tell_ready()
    for _ in range(4):
        clock.advance(30)
    assert manager.receive_all() == ["READY=1", "WATCHDOG=1", "READY=1", *["WATCHDOG=1"] * 4]
    told.tell_stopping()
    clock.advance(60)
    assert manager.receive_all() == ["STOPPING=1"]


@pytest.mark.parametrize("other", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_of_another_process_is_not_fed(manager: Manager, other: dict[str, str]) -> None:
    clock = Clock()
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000", **other}
    ServiceManager(clock, environment).tell_ready()
    clock.advance(120)
    assert manager.receive_all() == ["READY=1"]


def test_without_a_manager_and_with_one_that_is_gone_the_daemon_goes_on(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"}):
        told = ServiceManager(Clock(), environment)
        told.tell_ready()
        told.tell_reloading()
        told.tell_stopping()


def test_a_daemon_tells_its_manager_from_its_start_to_its_end(tmp_path: Path) -> None:
    made = Manager(str(tmp_path / "notify"))
    folder = tmp_path / "daemon"
    folder.mkdir()
    text = configuration(data=folder / "data", framings={}, listen=("http",), load=())
    variables = {"NOTIFY_SOCKET": made.address}
    with Daemon.start(text, folder, variables=variables) as daemon:
        assert made.receive() == "READY=1"
        os.kill(daemon.pid, signal.SIGHUP)
        assert made.receive().startswith("RELOADING=1\n")
        assert made.receive() == "READY=1"
        daemon.stop()
        assert made.receive() == "STOPPING=1"
    made.socket.close()


# --- the unit -------------------------------------------------------------------------------------


def test_the_unit_starts_what_there_is_and_waits_long_enough() -> None:
    unit = configparser.RawConfigParser(strict=True)
    # Keys as they are written; typeshed has a method for what its documentation replaces.
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    _, *arguments = shlex.split(service["ExecStart"])
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) >= Server().drain_seconds + LAST_SECONDS
