"""Extensions that change what a server says: narrow, evolve with topic, and remotefilelog.

Real clients of 7.2 use them against the daemon; what their commands may do is refused where an hgrc
refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from support.hg import HG7
from support.raw_http import RawConnection
from support.repositories import make_repository, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN: Final = "[web]\nallow-push = *\npush_ssl = no\n"
EXTENSIONS: Final = {
    "narrow": "[extensions]\nnarrow =\n",
    "topics": "[extensions]\nevolve =\ntopic =\n[phases]\npublish = no\n",
    "shallow": "[extensions]\nremotefilelog =\n[remotefilelog]\nserver = True\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """A daemon whose repositories have an extension each, and a folder for clients."""

    served: Served
    folder: Path

    def hg(self, name: str, *arguments: str, folder: Path | None = None) -> str:
        """Run a client with the extension of a repository, and return what it says."""
        settings = {
            "narrow": ["extensions.narrow="],
            "topics": ["extensions.evolve=", "extensions.topic="],
            "shallow": [
                "extensions.remotefilelog=",
                "remotefilelog.reponame=shallow",
                f"remotefilelog.cachepath={self.folder / 'cache'}",
            ],
        }[name]
        options = [part for setting in settings for part in ("--config", setting)]
        return HG7.run(*options, *arguments, folder=folder or self.folder).decode()

    def nodes(self, name: str) -> list[str]:
        """The changesets of a repository on the server."""
        return HG7.nodes("all()", folder=self.served.folders[name])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("extended")
    folders = {}
    for name, settings in EXTENSIONS.items():
        folders[name] = repository = make_repository(folder / name)
        write_hgrc(repository, OPEN + settings)
        for part in ("inside", "outside"):
            (repository / part).mkdir()
            (repository / part / "file").write_text(part)
            HG7.run("commit", "--addremove", "-m", part, folder=repository)
    (folder / "daemon").mkdir()
    with Served.start(folders, folder / "daemon") as running:
        yield running


@pytest.fixture
def extended(served: Served, tmp_path: Path) -> Extended:
    return Extended(served=served, folder=tmp_path)


def test_narrow_clones_have_what_they_ask_for_widen_and_push(extended: Extended) -> None:
    url, clone = extended.served.url("narrow"), extended.folder / "clone"
    extended.hg("narrow", "clone", "--narrow", "--include", "path:inside", url, str(clone))
    assert extended.hg("narrow", "files", folder=clone).split() == ["inside/file"]
    assert not (clone / ".hg/store/data/outside").exists()
    extended.hg("narrow", "tracked", "--addinclude", "path:outside", folder=clone)
    assert extended.hg("narrow", "files", folder=clone).split() == ["inside/file", "outside/file"]
    assert (clone / "outside" / "file").read_text() == "outside"
    (clone / "inside" / "file").write_text("changed")
    extended.hg("narrow", "commit", "-m", "changed", folder=clone)
    extended.hg("narrow", "push", folder=clone)
    extended.hg("narrow", "verify", folder=clone)
    assert len(extended.nodes("narrow")) == 3
    HG7.run("verify", folder=extended.served.folders["narrow"])


def test_topics_and_markers_travel_by_push_and_pull(extended: Extended) -> None:
    url = extended.served.url("topics")
    here, there = (extended.folder / name for name in ("here", "there"))
    for clone in (here, there):
        extended.hg("topics", "clone", url, str(clone))
    log = ("log", "--hidden", "-r", "topic(feature)", "-T", "{topic} {desc} {obsolete}\n")
    extended.hg("topics", "topic", "feature", folder=here)
    (here / "new").write_text("one")
    extended.hg("topics", "commit", "--addremove", "-m", "one", folder=here)
    assert "added 1 changesets" in extended.hg("topics", "push", folder=here)
    extended.hg("topics", "pull", folder=there)
    assert extended.hg("topics", *log, folder=there) == "feature one \n"
    (here / "new").write_text("two")
    extended.hg("topics", "amend", "-m", "two", folder=here)
    pushed = extended.hg("topics", "push", folder=here)
    assert "remote: 1 new obsolescence markers\nremote: obsoleted 1 changesets\n" in pushed
    extended.hg("topics", "pull", folder=there)
    assert extended.hg("topics", *log, folder=there) == "feature one obsolete\nfeature two \n"
    # What is obsolete is in no clone that is made now.
    fresh = extended.folder / "fresh"
    extended.hg("topics", "clone", url, str(fresh))
    assert extended.hg("topics", *log, folder=fresh) == "feature two \n"


def test_a_client_of_remotefilelog_clones_and_pushes(extended: Extended) -> None:
    url, clone = extended.served.url("shallow"), extended.folder / "clone"
    extended.hg("shallow", "clone", "--shallow", url, str(clone))
    assert (clone / "outside" / "file").read_text() == "outside"
    (clone / "inside" / "file").write_text("changed")
    extended.hg("shallow", "commit", "-m", "changed", folder=clone)
    extended.hg("shallow", "push", folder=clone)
    assert len(extended.nodes("shallow")) == 3
    HG7.run("verify", folder=extended.served.folders["shallow"])


COMMANDS: Final = {
    "narrow": ["narrow_widen?"],
    "topics": ["tns_heads?namespaces=2a", "evoext_obshashrange_v1?ranges=", "branchmaptns?"],
}


@pytest.mark.parametrize("rule", ["allow-pull = no", "deny_read = *"])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_of_extensions_are_refused_to_who_may_not_pull(
    extended: Extended, name: str, rule: str, request: pytest.FixtureRequest
) -> None:
    repository = extended.served.folders[name]
    write_hgrc(repository, f"{OPEN}{rule}\n{EXTENSIONS[name]}")
    request.addfinalizer(lambda: write_hgrc(repository, OPEN + EXTENSIONS[name]))
    for asked in COMMANDS[name]:
        command, _, arguments = asked.partition("?")
        wanted = f"GET /{name}?cmd={command}&{arguments} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with RawConnection(extended.served.daemon.port("http")) as connection:
            response = connection.exchange(wanted.encode())
        assert (command, response.status) == (command, 401)
        assert b"not authorized" in response.wire
