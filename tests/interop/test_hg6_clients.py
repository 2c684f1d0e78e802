"""Unmodified `hg` 6.0.3, the last client of version 2, against the daemon."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest
from support.hg import HG7, V2, copy_repository, read_tree
from support.repositories import write_hgrc
from support.served import API, Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg, View

DATA_COMMANDS: Final = ("changesetdata", "manifestdata", "filesdata")
ENCODINGS: Final = ("identity", "zlib", "zstd-8mb")
NOT_SECRET: Final = "not secret()"
NARROW: Final = ("--config", "extensions.narrow=")

_SETTINGS: Final = re.compile(rb"received frame\(size=(\d+);[^)]*type=stream-settings;")
_RECEIVED: Final = re.compile(rb"received (\d+) bytes in responses")


@cache
def expected(folder: Path, revisions: str = NOT_SECRET) -> View:
    """Asked once: nobody writes to what the session's daemon serves."""
    return shown(HG7.view(folder, revisions))


def shown(view: View) -> View:
    """Leave out bookmarks that look diverged (`name@elsewhere`), which servers do not show."""
    bookmarks = {name: node for name, node in view.bookmarks.items() if "@" not in name[1:]}
    return replace(view, bookmarks=bookmarks)


def published(view: View) -> View:
    """Give a view as it is where everything is public."""
    changesets = {node: {**one, "phase": "public"} for node, one in view.changesets.items()}
    return replace(view, changesets=changesets)


def is_free_of(folder: Path, secrets: tuple[str, ...], hg: Hg) -> bool:
    """Say whether neither a secret changeset nor a file of its own is in a repository."""
    nodes = set(hg.nodes("all()", folder=folder))
    names = (folder / ".hg" / "store" / "fncache").read_bytes()
    return nodes.isdisjoint(secrets) and b"data/secret" not in names


# --- whole clones ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloned:
    """A clone of the long history, and how it came about."""

    folder: Path
    output: bytes
    targets: tuple[str, ...]
    """Requests that the daemon has logged."""

    @property
    def received(self) -> int:
        """Bytes of all responses, as the client has counted them."""
        found = _RECEIVED.search(self.output)
        assert found, self.output[-2000:]
        return int(found[1])


@pytest.fixture(scope="module")
def clones(
    hg6: Hg, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Cloned]:
    """A clone for each content encoding, the only one that its client offered."""
    folder = tmp_path_factory.mktemp("clones")
    made = {}
    for encoding in ENCODINGS:
        order = f"experimental.httppeer.v2-encoder-order={encoding}"
        after = served.lines_logged()
        arguments = ("clone", "--debug", "--noupdate", *V2, "--config", order)
        output = hg6.run(*arguments, served.url("drafts"), encoding, folder=folder)
        served.wait_for_request(f"/drafts/{API}/ro/filesdata", after=after)
        targets = tuple(served.targets(after=after))
        made[encoding] = Cloned(folder=folder / encoding, output=output, targets=targets)
    return made


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_clone_is_the_same_repository_in_every_content_encoding(
    hg6: Hg, clones: Mapping[str, Cloned], generated: Generated, encoding: str
) -> None:
    clone = clones[encoding].folder
    hg6.verify(clone)
    assert hg6.view(clone) == expected(generated.folder)
    assert is_free_of(clone, generated.summary.secret, hg6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_clone_uses_version_2_and_nothing_else(
    clones: Mapping[str, Cloned], encoding: str
) -> None:
    assert clones[encoding].targets == (
        "/drafts?cmd=capabilities",
        f"/drafts/{API}/ro/multirequest",
        *(f"/drafts/{API}/ro/{command}" for command in DATA_COMMANDS),
    )


def test_what_is_sent_is_encoded_as_the_client_asked(clones: Mapping[str, Cloned]) -> None:
    for encoding, clone in clones.items():
        # The settings of a stream are the name of its encoding, a byte string of CBOR.
        assert {int(size) for size in _SETTINGS.findall(clone.output)} == {len(encoding) + 1}
    sizes = {encoding: clone.received for encoding, clone in clones.items()}
    assert sizes["zlib"] < sizes["identity"] / 2
    assert sizes["zstd-8mb"] < sizes["identity"] / 2


def test_working_copies_of_a_clone_have_the_files_of_its_heads(
    hg6: Hg, clones: Mapping[str, Cloned], generated: Generated, tmp_path: Path
) -> None:
    clone = copy_repository(clones["zlib"].folder, tmp_path / "clone")
    heads = hg6.nodes("head()", folder=clone)
    assert len(heads) > 3
    for node in heads[:4]:
        archive = tmp_path / node
        plain = ("--config", "ui.archivemeta=no")
        HG7.run("archive", "-r", node, *plain, str(archive), folder=generated.folder)
        hg6.run("update", "--clean", "-r", node, folder=clone)
        tree = read_tree(clone)
        assert tree == read_tree(archive)
        assert {kind for kind, _ in tree.values()} == {"", "x", "l"}
    assert hg6.run("status", folder=clone) == b""


def test_a_publishing_server_gives_public_changesets(
    hg6: Hg, served: Served, generated: Generated, tmp_path: Path
) -> None:
    hg6.run("clone", "--noupdate", *V2, served.url("public"), "clone", folder=tmp_path)
    assert hg6.view(tmp_path / "clone") == published(expected(generated.folder))
    assert is_free_of(tmp_path / "clone", generated.summary.secret, hg6)


def test_a_clone_over_tls_is_verified_and_the_same(
    hg6: Hg, served: Served, certificate: Path, short: Generated, tmp_path: Path
) -> None:
    url = served.url("short", listener="https")
    trust = ("--config", f"web.cacerts={certificate / 'ca.pem'}")
    hg6.run("clone", "--noupdate", *V2, *trust, url, "clone", folder=tmp_path)
    hg6.verify(tmp_path / "clone")
    assert hg6.view(tmp_path / "clone") == expected(short.folder)


# --- raw store files ------------------------------------------------------------------------------


def test_a_streaming_clone_takes_raw_store_files_and_is_the_same(
    hg6: Hg, served: Served, tmp_path: Path
) -> None:
    after = served.lines_logged()
    hg6.run("clone", "--stream", "--noupdate", *V2, served.url("open"), "clone", folder=tmp_path)
    served.wait_for_request(f"/open/{API}/ro/rawstorefiledata", after=after)
    served.wait_for_request(f"/open/{API}/ro/filesdata", after=after)
    assert f"/open/{API}/ro/manifestdata" not in served.targets(after=after)
    # Its client never learns the phases of what it gets this way.
    assert published(hg6.view(tmp_path / "clone")) == published(expected(served.folders["open"]))
    assert unexpected_changesets(hg6, tmp_path / "clone") <= sharing_manifests(tmp_path / "clone")


def unexpected_changesets(hg: Hg, folder: Path) -> set[int]:
    """The changesets that file revisions name by mistake; nothing else may be wrong."""
    problems = hg.refusal("verify", folder=folder).decode("utf-8", "replace")
    found = re.findall(r"rev \d+ points to unexpected changeset (\d+)\n \(expected", problems)
    assert f"{len(found)} integrity errors encountered!" in problems
    return set(map(int, found))


def sharing_manifests(folder: Path) -> set[int]:
    """The changesets that changed no file.

    A streaming client of version 2 takes the last changeset with a manifest for the one that
    brought it, whatever the server does.
    """
    text = HG7.text("log", "-r", "all()", "-T", "{rev} {manifest % '{node}'}\n", folder=folder)
    seen: set[str] = set()
    sharing = set()
    for line in text.splitlines():
        revision, manifest = line.split()
        if manifest in seen:
            sharing.add(int(revision))
        seen.add(manifest)
    return sharing


def test_a_streaming_clone_where_something_is_secret_gets_the_rest_the_long_way(
    hg6: Hg, served: Served, short: Generated, tmp_path: Path
) -> None:
    after = served.lines_logged()
    hg6.run("clone", "--stream", "--noupdate", *V2, served.url("short"), "clone", folder=tmp_path)
    served.wait_for_request(f"/short/{API}/ro/filesdata", after=after)
    assert f"/short/{API}/ro/rawstorefiledata" not in served.targets(after=after)
    assert hg6.view(tmp_path / "clone") == expected(short.folder)
    assert is_free_of(tmp_path / "clone", short.summary.secret, hg6)


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--rev", "400"), "::400"),
        (("--rev", "{node}"), "::{node}"),
        (("--rev", "naïve bookmark"), "::'naïve bookmark'"),
        (("--rev", "{tag}", "--rev", "{node}"), "::('{tag}' + {node})"),
        (("--branch", "café au lait"), "::(head() and branch('café au lait')) and not secret()"),
        (("--branch", "finished"), "::branch(finished)"),
    ],
    ids=["number", "node", "bookmark", "several", "branch", "closed"],
)
def test_a_part_of_the_history_is_cloned(
    hg6: Hg,
    served: Served,
    generated: Generated,
    tmp_path: Path,
    arguments: tuple[str, ...],
    wanted: str,
) -> None:
    whole = expected(generated.folder)
    node = generated.summary.nodes[640]
    names = {"node": node, "tag": min(whole.tags)}
    arguments = tuple(argument.format(**names) for argument in arguments)
    clone = ("clone", "--noupdate", *V2, *arguments, served.url("drafts"), "clone")
    hg6.run(*clone, folder=tmp_path)
    hg6.verify(tmp_path / "clone")
    found = hg6.view(tmp_path / "clone")
    part = expected(generated.folder, wanted.format(**names))
    assert 0 < len(part.changesets) < len(whole.changesets)
    assert found.changesets == part.changesets
    assert found.heads == part.heads


def test_a_bookmark_is_pulled_with_what_it_points_at(
    hg6: Hg, served: Served, generated: Generated, tmp_path: Path
) -> None:
    hg6.run("init", "clone", folder=tmp_path)
    clone = tmp_path / "clone"
    hg6.run("pull", *V2, "--bookmark", "naïve bookmark", served.url("drafts"), folder=clone)
    hg6.verify(clone)
    found = hg6.view(clone)
    part = expected(generated.folder, "::'naïve bookmark'")
    assert found.changesets == part.changesets
    assert found.bookmarks == {"naïve bookmark": part.bookmarks["naïve bookmark"]}


@pytest.mark.parametrize("name", ["hidden", "no such bookmark"])
def test_a_bookmark_of_a_secret_changeset_is_as_unknown_as_one_that_does_not_exist(
    hg6: Hg, served: Served, tmp_path: Path, name: str
) -> None:
    hg6.run("init", "clone", folder=tmp_path)
    clone = tmp_path / "clone"
    refusal = hg6.refusal("pull", *V2, "--bookmark", name, served.url("drafts"), folder=clone)
    assert refusal.decode().splitlines()[-1] == f"abort: remote bookmark {name} not found!"
    assert hg6.nodes("all()", folder=clone) == []


def test_a_secret_changeset_is_as_unknown_as_one_that_does_not_exist(
    hg6: Hg, served: Served, generated: Generated, tmp_path: Path
) -> None:
    def refused(node: str) -> bytes:
        clone = ("clone", "--noupdate", *V2, "--rev", node, served.url("drafts"), "clone")
        return hg6.refusal(*clone, folder=tmp_path).replace(node.encode(), b"NODE")

    secret = refused(generated.summary.secret[0])
    assert b"unknown revision 'NODE'" in secret
    assert secret == refused("12" * 20)


def test_a_narrow_clone_has_only_the_files_it_asked_for(
    hg6: Hg, served: Served, generated: Generated, tmp_path: Path
) -> None:
    wanted = ("--narrow", "--include", "src", "--exclude", "src/deep")
    clone = ("clone", *NARROW, *V2, *wanted, "-u", "naïve bookmark", served.url("drafts"), "clone")
    hg6.run(*clone, folder=tmp_path)
    hg6.run("verify", *NARROW, folder=tmp_path / "clone")
    archive = tmp_path / "archive"
    some = ("--config", "ui.archivemeta=no", "--include", "src", "--exclude", "src/deep")
    HG7.run("archive", "-r", "naïve bookmark", *some, str(archive), folder=generated.folder)
    tree = read_tree(tmp_path / "clone")
    assert tree == read_tree(archive)
    assert tree
    names = (tmp_path / "clone" / ".hg" / "store" / "fncache").read_bytes()
    assert {line.split(b"/")[1] for line in names.splitlines()} == {b"src"}


# --- step by step ---------------------------------------------------------------------------------


@pytest.fixture
def growing(short: Generated, tmp_path: Path) -> Iterator[Served]:
    """A daemon and a repository that is written to while it is served."""
    (tmp_path / "daemon").mkdir()
    folder = copy_repository(short.folder, tmp_path / "server")
    with Served.start({"growing": folder}, tmp_path / "daemon") as running:
        yield running


@dataclass(slots=True)
class Author:
    """Somebody who works in the very repository that is served."""

    folder: Path
    commits: int = 0

    def hg(self, *arguments: str) -> str:
        """Run the installed `hg` there."""
        return HG7.text(*arguments, folder=self.folder)

    def commit(self, text: str, *options: str) -> str:
        """Commit all there is, new files too, and give the node."""
        self.commits += 1
        (self.folder / "work").write_text(f"{self.commits}: {text}\n", encoding="utf-8")
        self.hg("commit", "--addremove", "-m", text, "-d", f"{self.commits} 0", *options)
        return self.hg("log", "-r", ".", "-T", "{node}")


def test_pulls_follow_a_repository_that_grows(  # noqa: PLR0915 one story, step by step
    hg6: Hg, growing: Served, tmp_path: Path
) -> None:
    server = growing.folders["growing"]
    author = Author(server)
    client = tmp_path / "client"

    def pull(*arguments: str) -> str:
        after = growing.lines_logged()
        text = hg6.text("pull", *V2, *arguments, folder=client)
        # Asked for even where nothing is missing.
        growing.wait_for_request(f"/growing/{API}/ro/changesetdata", after=after)
        hg6.verify(client)
        return text

    def same() -> bool:
        ours, theirs = hg6.view(client), shown(HG7.view(server, NOT_SECRET))
        assert ours.changesets == theirs.changesets
        return ours == theirs

    hg6.run(
        "clone", "--noupdate", *V2, "--rev", "40", growing.url("growing"), "client", folder=tmp_path
    )
    assert hg6.view(client).changesets == HG7.view(server, "::40").changesets
    middle = HG7.nodes("150", folder=server)[0]
    pull("--rev", middle)
    assert hg6.view(client).changesets == HG7.view(server, f"::40 + ::{middle}").changesets
    pull()
    pull("--bookmark", "main", "--bookmark", "@", "--bookmark", "naïve bookmark")
    assert same()

    # Everything that can happen to a file, on a branch that is new.
    author.hg("update", "@")
    author.hg("branch", "neu und größer")
    first = author.commit("branched")
    author.hg("rename", "aux.txt", "moved.txt")
    author.hg("remove", "README")
    author.commit("moved and removed")
    (server / "README").write_text("again\n", encoding="utf-8")
    (server / "moved.txt").chmod(0o755)
    (server / "link").symlink_to("moved.txt")
    last = author.commit("added again, executable, linked")
    author.hg("update", first)
    author.commit("another head")
    author.hg("merge", last, "--tool", ":local")
    merged = author.commit("merged")
    author.hg("bookmark", "--force", "-r", merged, "@")
    assert "neu" not in hg6.text("branches", folder=client)
    pull()
    assert same()
    assert hg6.view(client).bookmarks["@"] == merged

    # Phases move forward with what is new; secrets stay.
    author.commit("published")
    author.hg("phase", "--public", ".")
    author.commit("draft on top")
    author.hg("bookmark", "--force", "-r", ".", "@")
    secret = author.commit("for nobody", "--secret")
    author.hg("update", "0")
    author.commit("far behind")
    author.hg("tag", "-r", "1", "-d", "99 0", "new tag")
    pull()
    assert same()
    assert is_free_of(client, (secret,), hg6)
    view = hg6.view(client)
    assert {one["phase"] for one in view.changesets.values()} == {"public", "draft"}
    assert "new tag" in view.tags

    before = hg6.view(client)
    pull()
    assert hg6.view(client) == before


def test_a_server_begins_to_publish_between_two_pulls(
    hg6: Hg, growing: Served, tmp_path: Path
) -> None:
    server = growing.folders["growing"]
    hg6.run("clone", "--noupdate", *V2, growing.url("growing"), "client", folder=tmp_path)
    client = tmp_path / "client"
    assert hg6.nodes("draft()", folder=client) != []
    write_hgrc(server, "")
    author = Author(server)
    author.hg("update", "@")
    author.commit("new")
    hg6.run("pull", *V2, folder=client)
    (new,) = hg6.nodes("tip", folder=client)
    assert hg6.nodes(f"draft() and ::{new}", folder=client) == []


def test_an_empty_repository_is_cloned_and_filled_later(
    hg6: Hg, short: Generated, tmp_path: Path
) -> None:
    server = tmp_path / "server"
    HG7.run("init", str(server), folder=tmp_path)
    (tmp_path / "daemon").mkdir()
    with Served.start({"": server}, tmp_path / "daemon") as running:
        hg6.run("clone", *V2, running.url(""), "client", folder=tmp_path)
        client = tmp_path / "client"
        assert hg6.nodes("all()", folder=client) == []
        HG7.run("pull", "--rev", "@", str(short.folder), folder=server)
        hg6.run("pull", *V2, folder=client)
        hg6.verify(client)
        assert hg6.nodes("all()", folder=client) == HG7.nodes("all()", folder=server)


# --- what is not version 2 ------------------------------------------------------------------------


def test_a_client_that_does_not_ask_for_version_2_gets_version_1(
    hg6: Hg, served: Served, generated: Generated, tmp_path: Path
) -> None:
    after = served.lines_logged()
    hg6.run("clone", "--noupdate", served.url("drafts"), "clone", folder=tmp_path)
    hg6.verify(tmp_path / "clone")
    assert hg6.view(tmp_path / "clone") == expected(generated.folder)
    assert is_free_of(tmp_path / "clone", generated.summary.secret, hg6)
    assert [target for target in served.targets(after=after) if API in target] == []
