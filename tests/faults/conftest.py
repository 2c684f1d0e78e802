"""A small repository that anybody may push to, and a clone of it that has something to push."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pytest
from support import peers
from support.hg import HG7
from support.raw_http import post
from support.repositories import make_repository, write_hgrc
from support.served import API

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.raw_http import RawConnection, RawResponse

OPEN: Final = "[web]\npush_ssl = false\nallow-push = *\n"
MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"
HEADERS: Final = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A repository, and a client's clone with one changeset more."""

    repository: Path
    clone: Path

    def push(self, url: str) -> str:
        """Push, and return what `hg` prints.

        Raises:
            HgError: The push has failed.
        """
        return HG7.text("push", url, folder=self.clone)

    def refused(self, url: str) -> str:
        """Push, which must fail, and return what `hg` prints: it names no place on the server."""
        said = HG7.refusal("push", url, folder=self.clone).decode()
        assert str(self.repository.parent) not in said.replace(str(self.clone), "")
        assert "Traceback" not in said
        return said

    def read(self, url: str) -> list[str]:
        """Clone the whole repository, and return the nodes of its changesets."""
        with TemporaryDirectory(dir=self.clone.parent) as name:
            copy = Path(name) / "copy"
            HG7.run("clone", "--noupdate", url, str(copy), folder=self.clone)
            return HG7.nodes("all()", folder=copy)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def make_work(folder: Path) -> Work:
    """Make both in a folder."""
    repository = make_repository(folder / "repository")
    write_hgrc(repository, OPEN)
    commit(repository, "first", b"first\n")
    clone = folder / "clone"
    HG7.run("clone", str(repository), str(clone), folder=folder)
    commit(clone, "second", b"second\n")
    return Work(repository=repository, clone=clone)


def commit(folder: Path, name: str, content: bytes) -> str:
    """Commit one file, and return the changeset's node."""
    (folder / name).write_bytes(content)
    HG7.run("commit", "--addremove", "-m", name, folder=folder)
    (node,) = HG7.nodes(".", folder=folder)
    return node


def ask(
    connection: RawConnection,
    command: str,
    arguments: Mapping[bytes, object] | None = None,
    *,
    permission: str = "ro",
    repository: str = "r",
) -> RawResponse:
    """Run a framed command over HTTP, and return the response as it came."""
    frames = peers.request_frames("0006", 1, command.encode(), arguments or {})
    target = f"/{repository}/{API}/{permission}/{command}"
    return connection.exchange(post(target, connection.authority, HEADERS, b"".join(frames)))


def files_of(nodes: list[str]) -> Mapping[bytes, object]:
    """Return the arguments of `filesdata` for all files of some changesets."""
    wanted = [{b"type": b"changesetexplicit", b"nodes": [bytes.fromhex(node) for node in nodes]}]
    return {b"revisions": wanted, b"fields": {b"parents", b"revision"}}
