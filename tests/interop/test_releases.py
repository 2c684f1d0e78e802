"""Releases of Mercurial as clients, over HTTP and HTTPS: those that `make interop` names.

`make test` takes the newest one, over HTTPS: it has more tests with that one and with 6.0.3.
"""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.hg import HG7, Hg, copy_repository
from support.repositories import write_hgrc
from support.served import Served
from support.time_limit import unlimited

from tools.mercurial6 import mercurial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.conftest import Generated

INSTALLED: Final = "installed"
NAMED: Final = os.environ.get("WIREDAEMON_RELEASES", INSTALLED).split()
HGRC: Final = "[phases]\npublish = no\n[web]\nallow-push = *\npush_ssl = no\n"
LISTENERS: Final = pytest.mark.parametrize(
    "listener", ["https"] if NAMED == [INSTALLED] else ["http", "https"]
)


@pytest.fixture(scope="module", params=NAMED)
def release(request: pytest.FixtureRequest) -> Hg:
    """A release of Mercurial."""
    if request.param == INSTALLED:
        return Hg((str(Path(sysconfig.get_path("scripts")) / "hg"),))
    with unlimited():  # its first use compiles it, for minutes
        return Hg((str(mercurial(request.param)),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A release, and a daemon whose repository it may push to."""

    hg: Hg
    served: Served
    folder: Path
    url: str
    options: tuple[str, ...]

    def run(self, *arguments: str, folder: Path | None = None) -> str:
        """Run the client, in its folder or in a clone."""
        return self.hg.text(*arguments, *self.options, folder=folder or self.folder)

    @property
    def repository(self) -> Path:
        """The repository on the server."""
        return self.served.folders["team"]


@pytest.fixture
def client(
    release: Hg, short: Generated, certificate: Path, tmp_path: Path, listener: str
) -> Iterator[Client]:
    repository = copy_repository(short.folder, tmp_path / "team")
    write_hgrc(repository, HGRC)
    for name in ("daemon", "clients"):
        (tmp_path / name).mkdir()
    options = ("--config", f"web.cacerts={certificate / 'ca.pem'}")
    with Served.start({"team": repository}, tmp_path / "daemon", certificate=certificate) as served:
        url = served.url("team", listener=listener)
        yield Client(
            hg=release, served=served, folder=tmp_path / "clients", url=url, options=options
        )


@LISTENERS
@pytest.mark.parametrize("how", [(), ("--stream",), ("--pull",)], ids=["bundle", "stream", "pull"])
def test_a_clone_has_everything(client: Client, how: tuple[str, ...]) -> None:
    shown = HG7.view(client.repository, "not secret()")
    # Names of another side's bookmarks are of no interest to others.
    marks = {name: node for name, node in shown.bookmarks.items() if "@" not in name[1:]}
    expected = replace(shown, bookmarks=marks)
    for name in ("first", "second"):  # the second one is sent as it was kept
        client.run("clone", "--noupdate", *how, client.url, name)
        copy = client.folder / name
        assert client.hg.view(copy) == expected
        client.hg.verify(copy)


@LISTENERS
def test_changesets_bookmarks_and_phases_travel_both_ways(client: Client) -> None:
    for name in ("here", "there"):
        client.run("clone", client.url, name)
    here, there = client.folder / "here", client.folder / "there"
    (here / "new").write_text("new")
    client.run("commit", "--addremove", "--user", "ann", "-m", "new", folder=here)
    client.run("bookmark", "mark", folder=here)
    pushed = client.run("push", "--bookmark", "mark", "-r", ".", folder=here)
    assert "exporting bookmark mark" in pushed
    (node,) = client.hg.nodes(".", folder=here)
    assert HG7.nodes("mark", folder=client.repository) == [node]
    client.run("pull", "--bookmark", "mark", folder=there)
    assert client.hg.nodes("mark and draft()", folder=there) == [node]
    # Published on one side, it becomes public on the others.
    client.run("phase", "--public", "-r", node, folder=here)
    # With status 1, for no changeset was pushed.
    assert b"no changes found" in client.hg.refusal(
        "push", "-r", node, *client.options, folder=here
    )
    assert HG7.nodes(f"{node} and public()", folder=client.repository) == [node]
    client.run("pull", folder=there)
    assert client.hg.nodes(f"{node} and public()", folder=there) == [node]
    HG7.verify(client.repository)
