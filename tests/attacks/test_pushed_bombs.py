"""Pushed bundles of some kilobytes that grow beyond the memory of a worker as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.hg import HG7
from support.raw_http import RawConnection
from support.repositories import make_repository, write_hgrc
from support.served import Served

from benchmarks.hosted_rows import bomb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB: Final = 1024 * 1024
MOST: Final = 200 * MIB
"""Of a worker, which has some 50 MiB at the start."""
GROWN: Final = 256 * MIB
"""Of the text of a changeset: held once, it is already too much."""
MESSAGE: Final = b"the command needs more memory than it may have (worker_memory_hard)"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    repository = make_repository(tmp_path / "repository")
    write_hgrc(repository, "[web]\npush_ssl = no\nallow-push = *\n")
    (repository / "file").write_text("content\n")
    HG7.run("commit", "--addremove", "-m", "first", folder=repository)
    limits = f"[limits]\nworker_memory_hard = {MOST}\nworker_memory = {MOST // 2}\n"
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    with Served.start({"team": repository}, daemon, tables=limits) as running:
        yield running


def ask(served: Served, method: str, command: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask for a command of version 1; return status and body."""
    head = "\r\n".join(
        [
            f"{method} /team?cmd={command} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/mercurial-0.1",
            "X-HgArg-1: heads=666f726365",  # "force"
            f"Content-Length: {len(body)}",
        ]
    )
    with RawConnection(served.daemon.port("http")) as connection:
        response = connection.exchange(f"{head}\r\n\r\n".encode() + body)
    return response.status, response.body


@pytest.mark.parametrize("kind", ["GZ", "BZ"])
def test_a_bundle_that_grows_beyond_a_workers_memory_fails_alone(
    served: Served, kind: str, tmp_path: Path
) -> None:
    before = ask(served, "GET", "heads")
    assert ask(served, "POST", "unbundle", bomb(kind, GROWN)) == (500, b"%s\n" % MESSAGE)
    assert ask(served, "GET", "heads") == before
    # Nothing is left of it: an honest push comes through, by as many workers as there were.
    clone = tmp_path / "clone"
    HG7.run("clone", served.url("team"), str(clone), folder=tmp_path)
    (clone / "file").write_text("other\n")
    HG7.run("commit", "-m", "second", folder=clone)
    HG7.run("push", folder=clone)
    (node,) = HG7.nodes(".", folder=clone)
    assert ask(served, "GET", "heads") == (200, node.encode() + b"\n")
    HG7.run("verify", folder=served.folders["team"])
