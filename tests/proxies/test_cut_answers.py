"""An answer whose worker dies in its middle is taken for complete by nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import LOOPBACK, client_environment
from support.hg import HG7, Hg
from support.proxies import nginx
from support.raw_http import RawConnection
from support.repositories import make_repository, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES: Final = 40
SIZE: Final = 200_000
"""Bytes of each file, which do not become smaller."""

EXTENSION: Final = '''\
"""Ends its process with a signal in the middle of a clone or an archive."""

import os
import signal

from mercurial import archival, exchange, extensions


def _cut(parts, after):
    sent = 0
    for part in parts:
        yield part
        sent += len(part)
        if sent > after:
            os.kill(os.getpid(), signal.SIGKILL)


def _chunks(original, *args, **options):
    info, chunks = original(*args, **options)
    return info, _cut(chunks, 4_000_000)


def _file(original, self, name, mode, islink, data):
    self.files_so_far = getattr(self, "files_so_far", 0) + 1
    if self.files_so_far > 25:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, name, mode, islink, data)


def extsetup(ui):
    extensions.wrapfunction(exchange, "getbundlechunks", _chunks)
    extensions.wrapfunction(archival.tarit, "addfile", _file)
'''

PLACES: Final = {
    "version 1": "/team?cmd=getbundle&common=" + "0" * 40,
    "archive": "/team/archive/tip.tar.gz",
}
NGINX: Final = "    server {{ listen @LISTEN@; location / {{ proxy_pass http://{}:{}; {} }} }}\n"
PROXIED: Final = {"by default": "", "HTTP/1.1": "proxy_http_version 1.1;"}

each_place: Final = pytest.mark.parametrize("target", PLACES.values(), ids=PLACES)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut")
    repository = make_repository(folder / "team")
    for number in range(FILES):
        (repository / f"file{number}").write_bytes(os.urandom(SIZE))
    HG7.run("commit", "--addremove", "-m", "large", "-u", "ann", folder=repository)
    (folder / "cut.py").write_text(EXTENSION, "utf-8")
    write_hgrc(
        repository,
        f"[extensions]\ncut = {folder / 'cut.py'}\n[web]\nallow-archive = gz\n",
    )
    return repository


@pytest.fixture(scope="module")
def daemon(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served.start({"team": repository}, tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture
def served(daemon: Served) -> Served:
    """Behind an answer of a worker: the more have died before, the longer one is waited for."""
    _, is_reset, last = received(daemon.daemon.port(), b"GET /team?cmd=heads HTTP/1.0\r\n\r\n")
    assert (is_reset, last[-1:]) == (False, b"\n")
    return daemon


@pytest.fixture(params=PROXIED.values(), ids=list(PROXIED))
def proxied(
    served: Served, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    servers = NGINX.format(LOOPBACK, served.daemon.port(), request.param)
    with nginx(servers, tmp_path_factory.mktemp("nginx")) as port:
        yield port


def received(port: int, request: bytes) -> tuple[int, bool, bytes]:
    """Return how much came, whether the connection was reset, and the last bytes."""
    size, last = 0, b""
    with RawConnection(port) as connection:
        connection.send(request)
        try:
            while part := connection.socket.recv(65536):
                size += len(part)
                last = part[-20:]
        except ConnectionResetError:
            return size, True, last
    return size, False, last


def curl(port: int, target: str, *options: str) -> int:
    """Return curl's exit status."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    command = ["curl", "--silent", *options, "--output", os.devnull, f"http://{LOOPBACK}:{port}"]
    command[-1] += target
    return subprocess.run(command, env=client_environment(), check=False).returncode


@each_place
def test_http_1_0_is_reset_because_it_has_no_other_end(served: Served, target: str) -> None:
    size, is_reset, _ = received(served.daemon.port(), f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert size > 65536
    assert is_reset


@each_place
def test_http_1_1_that_closes_anyway_is_reset_or_has_no_last_chunk(
    served: Served, target: str
) -> None:
    for more in ("", "Connection: close\r\n"):
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()
        size, is_reset, last = received(served.daemon.port(), request)
        assert size > 65536
        assert is_reset or (not more and not last.endswith(b"0\r\n\r\n"))


@each_place
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_curl_fails(served: Served, target: str, version: str) -> None:
    assert curl(served.daemon.port(), target, version) in (18, 56)


# A client of HTTP/1.0 gets an orderly end from nginx itself, whatever we do.
@each_place
def test_curl_behind_nginx_fails(proxied: int, target: str) -> None:
    assert curl(proxied, target, "--http1.1") in (18, 56)


@pytest.mark.parametrize("release", ["7", "6"])
def test_hg_fails_and_keeps_nothing(
    served: Served, proxied: int, release: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hg: Hg = HG7 if release == "7" else request.getfixturevalue("hg6")
    for port in (served.daemon.port(), proxied):
        refusal = hg.refusal("clone", f"http://{LOOPBACK}:{port}/team", "clone", folder=tmp_path)
        assert b"rollback completed" in refusal
        assert b"Traceback" not in refusal
        assert not (tmp_path / "clone").exists()
