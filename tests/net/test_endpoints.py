from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.raw_http import RawConnection
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from wiredaemon.net.endpoints import BACKLOG, EndpointError, server_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASK: Final = b"GET /?cmd=capabilities HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEADERS: Final = {
    "short unknown": b"PROXY UNKNOWN\r\n",
    "unknown": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "version 1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "version 1, IPv6": b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
    "version 2, a health check": b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    "version 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12)),
}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon behind a proxy."""
    text = f'[data]\nfolder = "data"\n[listen]\nhttp = ["haproxy:{ANY_PORT}"]\n'
    with Daemon.start(text, tmp_path_factory.mktemp("behind")) as daemon:
        yield daemon


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_connections_of_a_proxy_are_served(behind: Daemon, header: bytes) -> None:
    with behind.connect() as connection:
        assert connection.exchange(header + ASK).status == 200


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_header_may_come_in_pieces(behind: Daemon, header: bytes) -> None:
    with behind.connect() as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            connection.send(bytes([byte]))
        assert connection.exchange(ASK).status == 200


@pytest.mark.parametrize("data", [ASK, b"PROXY NOTHING 1 2 3 4\r\n", b"PROXY " + bytes(200)])
def test_what_has_no_proper_header_is_closed(behind: Daemon, data: bytes) -> None:
    with behind.connect() as connection:
        connection.send(data)
        assert connection.receive_to_end() == b""
    assert "Traceback" not in behind.log


def test_a_health_check_that_sends_nothing_is_no_error(behind: Daemon) -> None:
    behind.connect().close()
    with behind.connect() as connection:
        assert connection.exchange(HEADERS["short unknown"] + ASK).status == 200
    assert "Traceback" not in behind.log


def test_all_interfaces_of_both_kinds_are_listened_on(tmp_path: Path) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    text = "[data]\nfolder = \"data\"\n[listen]\nhttp = ['tcp:0:interface=\\:\\:']\n"
    with Daemon.start(text, tmp_path) as daemon:
        address = daemon.wait_for_log(r"http listening on http://\[::\]:(\d+)/")
        for host in ("::1", "127.0.0.1"):
            with socket.create_connection((host, int(address[1])), timeout=20) as connection:
                connection.sendall(ASK)
                assert connection.recv(13) == b"HTTP/1.1 200 "
        # That address is none to connect to.
        assert f"http://[::1]:{address[1]}/" in daemon.log


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("systemd:domain=INET:index=0", "systemd has passed no socket: LISTEN_FDS is not set"),
        ("systemd:domain=INET:name=a", "systemd has passed no socket: LISTEN_FDS is not set"),
        ("systemd:domain=INET", "exactly one of descriptor index or name"),
        ("haproxy:systemd:domain=INET:index=0", "systemd has passed no socket"),
        ("haproxy:nothing:1", "Unknown endpoint type: 'nothing'"),
        ("tcp:8000:interface=::", "colons of an IPv6 address are written"),
        ("haproxy:tcp:8000:interface=fe80::1", "colons of an IPv6 address are written"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, description: str, problem: str
) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(EndpointError, match=problem) as caught:
        server_endpoint(MemoryReactorClock(), description)
    assert "\n" not in str(caught.value)


def test_the_sockets_that_systemd_has_passed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.delenv("LISTEN_FDNAMES", raising=False)
    with pytest.raises(EndpointError, match=r"there are 1 .*their names are unknown"):
        server_endpoint(MemoryReactorClock(), "systemd:domain=INET:name=a")


@pytest.mark.parametrize("names", [{}, {"LISTEN_FDNAMES": "web"}])
def test_a_socket_that_was_passed_with_a_name_or_without_is_listened_on(
    names: dict[str, str], tmp_path: Path
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    file = tmp_path / "wiredaemon.toml"
    file.write_text('[data]\nfolder = "data"\n[listen]\nhttp = ["systemd:domain=INET:index=0"]\n')
    # As a service manager does it: the socket is descriptor 3, and the process knows that it is
    # meant by its own number.
    program = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid())"
        "; os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    serve = ("-m", "wiredaemon", "serve", "--config", str(file))
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(listening.fileno()), *serve],
        pass_fds=[listening.fileno()],
        env={**os.environ, "LISTEN_FDS": "1", **names},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with RawConnection(listening.getsockname()[1]) as connection:
            response = connection.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert response.status == 200
    finally:
        started.terminate()
        started.wait(30)
        listening.close()


@pytest.mark.parametrize(
    ("description", "backlog"),
    [
        ("tcp:0", BACKLOG),
        ("haproxy:tcp:0:interface=127.0.0.1", BACKLOG),
        (r"tcp6:0:interface=\:\:1", BACKLOG),
        ("tcp:0:backlog=9", 9),
        ("tcp:0:127.0.0.1:7", 7),
    ],
)
def test_more_connections_may_wait_than_twisted_lets_unless_the_string_says_how_many(
    description: str, backlog: int
) -> None:
    reactor = MemoryReactorClock()
    server_endpoint(reactor, description).listen(Factory())
    assert [server[2] for server in reactor.tcpServers] == [backlog]


def test_a_unix_socket_has_the_same_backlog() -> None:
    reactor = MemoryReactorClock()
    server_endpoint(reactor, "unix:/nowhere/s:mode=660").listen(Factory())
    assert [server[2] for server in reactor.unixServers] == [BACKLOG]
