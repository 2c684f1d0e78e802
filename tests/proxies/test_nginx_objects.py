"""nginx stores objects for redirects, as docs/cache.md shows it."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.documents import documented
from support.proxies import nginx, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = "docs/cache.md"


@pytest.fixture
def port(certificate: Path, tmp_path: Path) -> Iterator[int]:
    """The port of those who fetch; the other server listens on a socket in the folder."""
    (tmp_path / "srv" / "objects").mkdir(parents=True)
    text = replaced(
        documented("nginx: a store of objects", DOCUMENT),
        {
            "listen 127.0.0.1:8081": f"listen unix:{tmp_path}/uploads",
            "listen 443 ssl": "listen @LISTEN@ ssl",
            "/etc/ssl/cdn.example.org": str(certificate),
            "/srv/": f"{tmp_path}/srv/",
        },
    )
    with nginx(text, tmp_path) as listening:
        yield listening


def upload(folder: Path, path: str, content: bytes) -> int:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(folder / "uploads"))
    connection.request("PUT", path, content)
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_was_uploaded_is_fetched_by_everybody_and_written_by_nobody_else(
    port: int, certificate: Path, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cafile=certificate / "ca.pem")
    public = http.client.HTTPSConnection("localhost", port, context=context)
    # The first client waits until nginx listens; the socket of uploads is there by then.
    public.request("PUT", "/hg/0123/abc", b"mine")
    answer = public.getresponse()
    answer.read()
    assert answer.status == 403
    assert upload(tmp_path, "/hg/0123/abc", b"an object" * 100) == 201
    public.request("GET", "/hg/0123/abc")
    answer = public.getresponse()
    assert (answer.status, answer.read()) == (200, b"an object" * 100)
    assert answer.headers["Content-Type"] == "application/mercurial-cbor"
    public.close()


def test_objects_that_nobody_has_asked_for_go(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    (folder / "hg").mkdir(parents=True)
    for name, days in (("old", 9), ("new", 1)):
        file = folder / "hg" / name
        file.touch()
        then = file.stat().st_mtime - days * 86400
        os.utime(file, (then, then))
    line = documented("daily: objects that nobody has asked for", DOCUMENT)
    script = replaced(line, {"/srv/objects": str(folder)})
    subprocess.run(["sh", "-e", "-c", script], check=True)
    assert [file.name for file in (folder / "hg").iterdir()] == ["new"]
