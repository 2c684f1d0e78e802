"""HAProxy in front of a listener for PROXY headers, as docs/proxies.md shows it."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest
from support import behind
from support.documents import documented
from support.environment import LOOPBACK
from support.hg import HG7, Hg
from support.proxies import haproxy, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.served import Served

ASK: Final = b"GET /team?cmd=capabilities HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
NUMBERS: Final = count(1)
"""Of addresses and names: what was done from one does not count in the next test."""
VERSIONS: Final = pytest.mark.parametrize("sends", ["send-proxy-v2", "send-proxy"])


@pytest.fixture(scope="module")
def served(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = "login_failures = 3\nconnections_per_address = 2\n"
    folder = tmp_path_factory.mktemp("haproxy-daemon")
    with behind.start(folder, haproxy=True, certificate=certificate, limits=limits) as running:
        yield running


def configuration(served: Served, sends: str) -> str:
    changes = {
        "bind :443": "bind @LISTEN@",
        "127.0.0.1:8443": f"{LOOPBACK}:{served.daemon.port('https')}",
        "send-proxy-v2 check": f"{sends} check inter 20ms fall 1",
    }
    return replaced(documented("haproxy: TLS is passed on"), changes)


def accepting(served: Served, sends: str) -> str:
    """Return a configuration in which clients say themselves, in a header, who they are."""
    return replaced(configuration(served, sends), {"bind @LISTEN@": "bind @LISTEN@ accept-proxy"})


def connected(port: int, certificate: Path, address: str = "") -> ssl.SSLSocket:
    plain = socket.create_connection((LOOPBACK, port), timeout=20)
    if address:
        kind, other = ("TCP6", "2001:db8::9") if ":" in address else ("TCP4", "192.0.2.9")
        plain.sendall(f"PROXY {kind} {address} {other} 1 2\r\n".encode())
    context = ssl.create_default_context(cafile=certificate / "ca.pem")
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def ask(port: int, certificate: Path, address: str = "", more: bytes = b"") -> int:
    """Return the status of a request."""
    with connected(port, certificate, address) as connection:
        connection.sendall(ASK + more + b"\r\n")
        return int(connection.recv(65536)[9:12])


@VERSIONS
@pytest.mark.parametrize("release", ["7", "6"])
def test_a_push_with_a_password(
    release: str,
    sends: str,
    served: Served,
    certificate: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    hg: Hg = HG7 if release == "7" else request.getfixturevalue("hg6")
    clone = behind.new_work(hg, served, tmp_path)
    trust = ("--config", f"web.cacerts={certificate / 'ca.pem'}")
    with haproxy(configuration(served, sends), tmp_path) as port:
        url = f"https://ann:secret@localhost:{port}/team"
        printed = behind.push(hg, served, clone, url, *trust)
        hg.run("clone", *trust, url, "again", folder=tmp_path)
    assert f"pushed by=ann from=remote:https:{LOOPBACK}:ann" in printed
    hg.verify(tmp_path / "again")


@VERSIONS
def test_health_checks_find_the_daemon(
    sends: str, served: Served, tmp_path: Path, certificate: Path
) -> None:
    with haproxy(configuration(served, sends), tmp_path) as port:
        assert [ask(port, certificate) for _ in range(50)] == [200] * 50
    assert "is DOWN" not in (tmp_path / "output.log").read_text()
    assert "Traceback" not in served.daemon.log


@VERSIONS
@pytest.mark.parametrize("address", ["192.0.2.{}", "2001:db8:{}::1"])
def test_failed_logins_count_for_the_address_in_the_header(
    sends: str, address: str, served: Served, certificate: Path, tmp_path: Path
) -> None:
    one, other = address.format(next(NUMBERS)), address.format(next(NUMBERS))
    wrong = b"Authorization: Basic %b\r\n" % b64encode(b"nobody%d:no" % next(NUMBERS))
    with haproxy(accepting(served, sends), tmp_path) as port:
        tries = [ask(port, certificate, one, wrong) for _ in range(4)]
        assert tries == [401, 401, 401, 429]
        right = b"Authorization: Basic YW5uOnNlY3JldA==\r\n"
        assert ask(port, certificate, other, right) == 200


@VERSIONS
def test_connections_count_for_the_address_in_the_header(
    sends: str, served: Served, certificate: Path, tmp_path: Path
) -> None:
    one, other = (f"198.51.100.{next(NUMBERS)}" for _ in range(2))
    with haproxy(accepting(served, sends), tmp_path) as port:
        open_ones = [connected(port, certificate, one) for _ in range(2)]
        for connection in open_ones:
            # The header has arrived, and counts, with the first bytes of a request.
            connection.sendall(ASK.replace(b"Connection: close\r\n", b"\r\n"))
            assert connection.recv(13) == b"HTTP/1.1 200 "
        assert ask(port, certificate, one) == 503
        assert ask(port, certificate, other) == 200
        for connection in open_ones:
            connection.close()
