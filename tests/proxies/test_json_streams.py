"""Streams of calls with JSON pass a proxy part by part, and end with their client behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import JSON_CALLS
from support.daemon import Daemon
from support.environment import LOOPBACK
from support.proxies import haproxy, nginx
from support.raw_http import RawConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS: Final = """
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import Permission, command


@command("once", permission=Permission.RO)
async def once(context):
    try:
        yield 1
        await Deferred()
    finally:
        Logger().info("the stream has ended")
"""
# All that is not said here is nginx's default: it keeps answers back, and speaks HTTP/1.0.
NGINX: Final = "server {{ listen @LISTEN@; location / {{ proxy_pass http://{address}; }} }}"
HAPROXY: Final = """
defaults
    mode http
    option abortonclose
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend clients
    bind @LISTEN@
    default_backend daemon
backend daemon
    server one {address}
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "commands.py").write_text(COMMANDS, encoding="utf-8")
    with Daemon.start(JSON_CALLS, folder) as running:
        yield running


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
@pytest.mark.parametrize(
    ("accept", "part"),
    [("text/event-stream", b"id: 1\ndata: 1\n\n"), ("application/x-ndjson", b'{"result": 1}\n')],
)
def test_a_part_passes_as_it_comes_and_who_leaves_ends_the_stream(
    daemon: Daemon, tmp_path: Path, kind: str, accept: str, part: bytes
) -> None:
    address = f"{LOOPBACK}:{daemon.port()}"
    run, text = (nginx, NGINX) if kind == "nginx" else (haproxy, HAPROXY)
    before = daemon.lines_logged()
    with run(text.format(address=address), tmp_path) as port:
        with RawConnection(port) as connection:
            head = f"GET /json/once HTTP/1.1\r\nHost: {LOOPBACK}\r\nAccept: {accept}\r\n\r\n"
            connection.send(head.encode())
            received = b""
            while part not in received:
                received += connection.receive_some()
        daemon.wait_for_log("the stream has ended", after=before)
