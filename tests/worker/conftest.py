"""Real repositories for the tests of ``wiredaemon.worker``.

One history is made by the ``hg`` program, once per run; every test gets a copy of it.
"""

from __future__ import annotations

import gc
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.environment import ROOT
from support.hg import HG7

from wiredaemon.worker.hgweb_patches import apply_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HISTORY = (
    "0: default",
    "1: default",
    "2: café, from 0",
    "3: café",
    "4: default, merge of 1 and 3",
    "5: finished, from 0",
    "6: finished, closed",
    "7: default, from 4, draft, tags 0 as release",
    "8: default, secret",
)
"""The changesets. 0 to 6 are public."""


@pytest.fixture(scope="session", autouse=True)
def patched() -> None:
    """Mercurial as the worker program patches it."""
    apply_patches()


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on disk and the nodes of ``HISTORY``, by revision number."""

    folder: Path
    nodes: tuple[bytes, ...] = ()

    @property
    def path(self) -> bytes:
        return os.fsencode(self.folder)

    @property
    def hgrc(self) -> Path:
        return self.folder / ".hg" / "hgrc"

    def hex(self, revision: int) -> bytes:
        return self.nodes[revision].hex().encode()

    def hg(self, *arguments: str) -> bytes:
        return hg("-R", str(self.folder), *arguments)

    def commit(self, message: str) -> bytes:
        """Commit a new file; the new node."""
        (self.folder / message).write_text(message)
        self.hg("commit", "-A", "-m", message, "-u", "test", "-d", "0 0")
        return bytes.fromhex(self.hg("log", "-r", "tip", "-T", "{node}").decode())


def hg(*arguments: str) -> bytes:
    return HG7.run(*arguments, folder=ROOT)


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HGRCPATH", "")


@pytest.fixture(scope="module")
def garbage_collected() -> Iterator[None]:
    """Collect what Mercurial leaves behind where its warnings are ignored, not in a later test."""
    yield
    gc.collect()


@pytest.fixture
def garbage_of_test_collected() -> Iterator[None]:
    """The same, for a single test that ignores them."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    folder = tmp_path_factory.mktemp("template") / "history"
    hg("init", str(folder))
    new = Repository(folder=folder)
    new.commit("0")
    new.commit("1")
    new.hg("update", "-r", "0")
    new.hg("branch", "café")
    new.commit("2")
    new.commit("3")
    new.hg("update", "-r", "1")
    new.hg("merge", "-r", "3")
    new.commit("4")
    new.hg("update", "-r", "0")
    new.hg("branch", "finished")
    new.commit("5")
    new.hg("commit", "--close-branch", "-m", "6", "-u", "test", "-d", "0 0")
    new.hg("update", "-r", "4")
    new.hg("tag", "-r", "0", "-u", "test", "-d", "0 0", "release")
    new.hg("tag", "--local", "-r", "1", "here")
    new.commit("8")
    new.hg("update", "-r", "7")
    new.hg("phase", "--public", "-r", "4+6")
    new.hg("phase", "--force", "--secret", "-r", "8")
    new.hg("bookmark", "-r", "4", "main")
    new.hg("bookmark", "-r", "1", "naïve")
    new.hg("bookmark", "-r", "8", "hidden")
    nodes = new.hg("log", "-r", "all()", "-T", "{node}\n").decode().split()
    yield Repository(folder=folder, nodes=tuple(map(bytes.fromhex, nodes)))
    shutil.rmtree(folder)


@pytest.fixture
def history(template: Repository, tmp_path: Path) -> Repository:
    folder = tmp_path / "history"
    shutil.copytree(template.folder, folder, symlinks=True)
    return Repository(folder=folder, nodes=template.nodes)


@pytest.fixture
def empty(tmp_path: Path) -> Repository:
    folder = tmp_path / "empty"
    hg("init", str(folder))
    return Repository(folder=folder)


@pytest.fixture
def give_away() -> Callable[[Path], None]:
    """Make a file another user's, so that Mercurial does not trust it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user; run the tests as root for this one")

    def give(path: Path) -> None:
        os.chown(path, 12345, 12345)

    return give
