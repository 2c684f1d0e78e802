from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from support.environment import LOOPBACK

from wiredaemon.daemon.config import Admin, Config, Data, Framed, Listen
from wiredaemon.daemon.doctor.finding import Finding, Level
from wiredaemon.daemon.doctor.ports import examine_ports
from wiredaemon.daemon.privileges import as_user

LISTENS: Final = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()
"""


def found_for(*endpoints: str) -> list[Finding]:
    listen = Listen(http=endpoints)
    return list(examine_ports(Config(data=Data(folder=Path("/nosuch")), listen=listen)))


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_a_free_port_is_fine_and_free_behind_it() -> None:
    endpoint = f"tcp:{free_port()}:interface=127.0.0.1"
    for _ in range(2):
        (found,) = found_for(endpoint)
        assert (found.level, found.text) == (Level.FINE, f"{endpoint} is free")


@pytest.mark.parametrize("words", ["", "wiredaemon"])
def test_the_holder_of_a_port_is_named_and_a_daemon_may_hold_it(words: str) -> None:
    command = [sys.executable, "-c", LISTENS, *words.split()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        port = holder.stdout.readline().strip()
        (found,) = found_for(f"tcp:{port}:interface=127.0.0.1")
        holder.communicate()
    assert f"process {holder.pid}" in found.text
    if words:
        assert found.level is Level.FINE
        assert "is open already: a daemon listens there" in found.text
    else:
        assert found.level is Level.ERROR
        assert "import socket" in found.text
        assert f"`ss -ltnp sport = :{port}`" in found.remedy


def test_each_listener_is_looked_at_under_its_own_key() -> None:
    listen = Listen(
        http=("tcp:0:interface=127.0.0.1",),
        framed_tls=(Framed("haproxy:tcp:0:interface=127.0.0.1"),),
    )
    found = list(examine_ports(Config(data=Data(folder=Path("/nosuch")), listen=listen)))
    assert [(each.area, each.level) for each in found] == [
        ("listen.http", Level.FINE),
        ("listen.framed_tls", Level.FINE),
    ]


@pytest.mark.parametrize(
    ("endpoint", "levels"),
    [
        ("tcp:0:interface=127.0.0.1", [Level.FINE]),
        ("tcp:0", [Level.FINE, Level.WARNING]),
        ("tcp6:0:interface=\\:\\:1", [Level.FINE]),
    ],
)
def test_metrics_on_all_addresses_are_a_warning(endpoint: str, levels: list[Level]) -> None:
    admin = Admin(listen=(endpoint,))
    config = Config(data=Data(folder=Path("/nosuch")), listen=Listen(), admin=admin)
    found = list(examine_ports(config))
    assert [(each.area, each.level) for each in found] == [("admin.listen", one) for one in levels]


def test_an_address_of_another_machine_is_an_error() -> None:
    (found,) = found_for("tcp:0:interface=192.0.2.1")
    assert found.level is Level.ERROR
    assert "does not have the address 192.0.2.1" in found.text


def test_a_wrong_endpoint_is_left_to_the_check() -> None:
    assert found_for("nosuch:1", "systemd:domain=INET:index=0") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may open it")
def test_a_privileged_port_is_named_as_one() -> None:
    # 9, discard: nobody has it.
    (found,) = found_for("tcp:9:interface=127.0.0.1")
    assert found.level is Level.FINE
    assert "is privileged: `twistd --uid` opens it" in found.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_privileged_port_is_refused_to_others() -> None:
    endpoint = "tcp:9:interface=127.0.0.1"
    found_for(endpoint)  # Twisted loads its plugins, which may lie where nobody may not go
    with as_user(pwd.getpwnam("nobody").pw_uid, None):
        (found,) = found_for(endpoint)
    assert found.level is Level.ERROR
    assert found.text.startswith(f"{endpoint}: ports below ")
    assert "CAP_NET_BIND_SERVICE" in found.remedy


def test_a_unix_socket_needs_a_folder_and_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    names = [f"unix:{tmp_path}/{name}" for name in ("new", "nosuch/new", "file")]
    found = found_for(*names)
    assert [each.level for each in found] == [Level.FINE, Level.ERROR, Level.WARNING]
    assert found[1].remedy == f"mkdir -p {tmp_path}/nosuch"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"]
