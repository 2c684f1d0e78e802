"""Unmodified `hg` 7.2 against the daemon: it speaks version 1, over HTTP and HTTPS."""

from __future__ import annotations

import io
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

import pytest
from support.environment import LOOPBACK
from support.hg import HG7, HgError, copy_repository, read_tree
from support.repositories import write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.conftest import Generated

DRAFTS: Final = "[phases]\npublish = no\n"
EVERYBODY: Final = 'allow-push = ["*"]'
NOT_SECRET: Final = "not secret()"
LISTENERS: Final = pytest.mark.parametrize("listener", ["http", "https"])

PUSHERS: Final = 6
PUSHES: Final = 2
TRIES: Final = 20


@pytest.fixture(scope="module")
def trust(certificate: Path) -> tuple[str, str]:
    """The option that lets a client trust the daemon."""
    return ("--config", f"web.cacerts={certificate / 'ca.pem'}")


@pytest.fixture(scope="module")
def writable(
    short: Generated, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A daemon where everybody may push, over TLS only unless a repository says otherwise."""
    folder = tmp_path_factory.mktemp("writable")
    hgrcs = {
        "team": DRAFTS,
        "publishing": "",
        "plain": f"{DRAFTS}[web]\npush_ssl = no\n",
        "closed": "[web]\nallow-push =\npush_ssl = no\n",
        "archived": "[web]\nallow-archive = gz zip\n",
    }
    folders = {name: copy_repository(short.folder, folder / name) for name in hgrcs}
    for name, text in hgrcs.items():
        write_hgrc(folders[name], text)
    moved = '[moved]\n"/old" = "/plain"\n'
    with Served.start(
        folders, folder, certificate=certificate, web=EVERYBODY, tables=moved
    ) as running:
        yield running


@dataclass(slots=True)
class Clone:
    """A client's repository, and where it came from."""

    folder: Path
    trust: tuple[str, ...]
    commits: int = 0

    def hg(self, *arguments: str) -> str:
        """Run `hg` there."""
        return HG7.text(*arguments, *self.trust, folder=self.folder)

    def refusal(self, *arguments: str) -> str:
        """Run `hg` there in vain."""
        return HG7.refusal(*arguments, *self.trust, folder=self.folder).decode()

    def commit(self, text: str) -> str:
        """Commit a change and give its node."""
        self.commits += 1
        (self.folder / "work").write_text(f"{self.commits}: {text}\n", encoding="utf-8")
        self.hg("commit", "--addremove", "-m", text)
        return self.node(".")

    def node(self, revision: str) -> str:
        """The node of a revision."""
        return self.hg("log", "-r", revision, "-T", "{node}")

    def phase(self, revision: str) -> str:
        """The phase of a revision."""
        return self.hg("log", "-r", revision, "-T", "{phase}")


def clone(url: str, folder: Path, *options: str, trust: tuple[str, ...] = ()) -> Clone:
    """Clone a repository."""
    HG7.run("clone", *options, *trust, url, str(folder), folder=folder.parent)
    return Clone(folder, trust)


# --- reading --------------------------------------------------------------------------------------


@LISTENERS
def test_a_clone_is_the_same_repository(
    served: Served, generated: Generated, trust: tuple[str, str], tmp_path: Path, listener: str
) -> None:
    after = served.lines_logged()
    url = served.url("drafts", listener=listener)
    made = clone(url, tmp_path / "clone", "--noupdate", trust=trust)
    served.wait_for_request(r"/drafts\?cmd=getbundle", after=after)
    HG7.verify(made.folder)
    found, wanted = HG7.view(made.folder), HG7.view(generated.folder, NOT_SECRET)
    assert found.changesets == wanted.changesets
    assert found.heads == wanted.heads
    assert found.tags == wanted.tags
    shared = set(generated.summary.bookmarks) - {"hidden", "main@elsewhere"}
    assert found.bookmarks == {name: wanted.bookmarks[name] for name in shared}
    names = (made.folder / ".hg" / "store" / "fncache").read_bytes()
    assert b"data/secret" not in names


def test_a_streaming_clone_takes_the_store_as_it_is(served: Served, tmp_path: Path) -> None:
    text = HG7.text("clone", "--stream", "-U", served.url("open"), "clone", folder=tmp_path)
    assert "files to transfer" in text
    HG7.verify(tmp_path / "clone")
    found = HG7.view(tmp_path / "clone")
    assert found.changesets == HG7.view(served.folders["open"]).changesets


def test_a_streaming_clone_where_something_is_secret_gets_the_rest_the_long_way(
    served: Served, short: Generated, tmp_path: Path
) -> None:
    HG7.run("clone", "--stream", "-U", served.url("short"), "clone", folder=tmp_path)
    HG7.verify(tmp_path / "clone")
    found = HG7.view(tmp_path / "clone")
    assert found.changesets == HG7.view(short.folder, NOT_SECRET).changesets


def test_parts_are_cloned_and_the_rest_pulled_in_steps(
    served: Served, generated: Generated, tmp_path: Path
) -> None:
    made = clone(served.url("drafts"), tmp_path / "clone", "--noupdate", "-r", "400")
    assert HG7.nodes("all()", folder=made.folder) == HG7.nodes("::400", folder=generated.folder)
    made.hg("pull", "--branch", "café au lait")
    made.hg("pull", "--bookmark", "naïve bookmark")
    made.hg("pull")
    HG7.verify(made.folder)
    found, wanted = HG7.view(made.folder), HG7.view(generated.folder, NOT_SECRET)
    assert found.changesets == wanted.changesets
    assert found.tags == wanted.tags


def test_a_secret_changeset_is_as_unknown_as_one_that_does_not_exist(
    served: Served, generated: Generated, tmp_path: Path
) -> None:
    HG7.run("init", "clone", folder=tmp_path)
    for node in (generated.summary.secret[0], "12" * 20):
        pull = ("pull", "-r", node, served.url("drafts"))
        text = HG7.refusal(*pull, folder=tmp_path / "clone").decode()
        assert text.splitlines()[-1] == f"abort: unknown revision '{node}'"


def test_what_differs_is_told_without_being_transferred(
    served: Served, short: Generated, tmp_path: Path
) -> None:
    url = served.url("short")
    made = clone(url, tmp_path / "clone", "-r", "200")
    listed = ("-q", "-T", "{node}\n")
    incoming = made.hg("incoming", *listed).split()
    missing = "not secret() and not ::200"
    assert set(incoming) == set(HG7.nodes(missing, folder=short.folder))
    new = made.commit("mine")
    assert made.hg("outgoing", *listed).split() == [new]
    (tip,) = HG7.nodes("max(not secret())", folder=short.folder)
    assert HG7.text("identify", "--id", url, folder=tmp_path).strip() == tip[:12]
    (marked,) = HG7.nodes("main", folder=short.folder)
    assert HG7.text("identify", "--id", "-r", "main", url, folder=tmp_path).strip() == marked[:12]
    listing = HG7.text("incoming", "--bookmarks", url, folder=_empty(tmp_path / "empty"))
    assert {line.rsplit(maxsplit=1)[0].strip() for line in listing.splitlines()[2:]} == {
        name for name in short.summary.bookmarks if name not in {"hidden", "main@elsewhere"}
    }


def test_a_name_that_is_not_ascii_is_looked_up(
    served: Served, short: Generated, tmp_path: Path
) -> None:
    (node,) = HG7.nodes("'naïve bookmark'", folder=short.folder)
    identify = ("identify", "--id", "-r", "naïve bookmark", served.url("short"))
    assert HG7.text(*identify, folder=tmp_path).strip() == node[:12]


def _empty(folder: Path) -> Path:
    HG7.run("init", str(folder), folder=folder.parent)
    return folder


class _Counting(SimpleHTTPRequestHandler):
    """Serves files, and counts how often."""

    def __init__(self, *arguments: object, counted: list[str], directory: str) -> None:
        self._counted = counted
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._counted.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def static_files(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; gives the URL and the paths asked for so far."""
    counted: list[str] = []
    handler = partial(_Counting, counted=counted, directory=str(folder))
    with ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}", counted
        finally:
            server.shutdown()
            thread.join()


def test_a_clone_begins_with_a_bundle_from_elsewhere_where_there_is_one(
    short: Generated, tmp_path: Path
) -> None:
    server = copy_repository(short.folder, tmp_path / "server")
    write_hgrc(server, f"{DRAFTS}[extensions]\nclonebundles =\n")
    (tmp_path / "files").mkdir()
    bundle = ("bundle", "-r", "public()", "--base", "null", "-t", "gzip-v2")
    HG7.run(*bundle, str(tmp_path / "files" / "full.hg"), folder=server)
    (tmp_path / "daemon").mkdir()
    with (
        static_files(tmp_path / "files") as (url, counted),
        Served.start({"bundled": server}, tmp_path / "daemon") as running,
    ):
        manifest = server / ".hg" / "clonebundles.manifest"
        manifest.write_text(f"{url}/full.hg BUNDLESPEC=gzip-v2\n", encoding="ascii")
        text = HG7.text("clone", "-U", running.url("bundled"), "clone", folder=tmp_path)
        assert "applying clone bundle from" in text
        assert counted == ["/full.hg"]
    HG7.verify(tmp_path / "clone")
    found, wanted = HG7.view(tmp_path / "clone"), HG7.view(server, NOT_SECRET)
    assert found.changesets == wanted.changesets


def test_an_archive_has_the_files_of_its_revision(writable: Served, tmp_path: Path) -> None:
    (node,) = HG7.nodes("@", folder=writable.folders["archived"])
    url = f"{writable.url('archived')}/archive/{node}.tar.gz"
    with urlopen(url, timeout=60) as response:  # noqa: S310 our own
        content = response.read()
    with tarfile.open(fileobj=io.BytesIO(content), errors="surrogateescape") as archive:
        # Python before 3.11.4 has no filters.
        options: Any = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        archive.extractall(tmp_path / "found", **options)  # noqa: S202 our own
    (top,) = (tmp_path / "found").iterdir()
    wanted = tmp_path / "wanted"
    HG7.run("archive", "-r", node, str(wanted), folder=writable.folders["archived"])
    assert read_tree(top) == read_tree(wanted)


# --- writing --------------------------------------------------------------------------------------


def test_new_changesets_branches_and_heads_are_pushed(
    writable: Served, trust: tuple[str, str], tmp_path: Path
) -> None:
    server = writable.folders["team"]
    url = writable.url("team", listener="https")
    made = clone(url, tmp_path / "clone", "-u", "@", trust=trust)
    made.commit("ünïcode")
    second = made.commit("second")
    made.hg("push", "-r", second)
    assert HG7.nodes(second, folder=server) == [second]

    made.hg("branch", "brand neu")
    third = made.commit("on a branch")
    assert "push creates new remote branches: brand neu" in made.refusal("push", "-r", third)
    made.hg("push", "--new-branch", "-r", third)
    assert HG7.nodes("branch('brand neu')", folder=server) == [third]

    made.hg("update", "-C", f"p1({second})")
    head = made.commit("another head")
    assert "push creates new remote head" in made.refusal("push", "-r", head)
    made.hg("push", "--force", "-r", head)
    assert HG7.nodes(head, folder=server) == [head]
    HG7.verify(server)


def test_bookmarks_are_pushed_moved_and_deleted(
    writable: Served, trust: tuple[str, str], tmp_path: Path
) -> None:
    server = writable.folders["team"]
    url = writable.url("team", listener="https")
    made = clone(url, tmp_path / "clone", "-u", "main", trust=trust)
    made.hg("bookmark", "--inactive", "main")

    def there() -> dict[str, str]:
        return dict(HG7.view(server).bookmarks)

    before = there()
    made.hg("bookmark", "größe")
    first = made.commit("bookmarked")
    made.hg("push", "--force", "-r", ".", "-B", "größe")
    assert there() == {**before, "größe": first}
    second = made.commit("moved")
    made.hg("push", "-r", ".")
    assert there() == {**before, "größe": second}
    made.hg("bookmark", "--delete", "größe")
    # "No changes found" is the exit code's business, which is 1.
    made.refusal("push", "-r", ".", "-B", "größe")
    assert there() == before


def test_drafts_stay_drafts_where_nothing_is_published_until_they_are(
    writable: Served, trust: tuple[str, str], tmp_path: Path
) -> None:
    server = writable.folders["team"]
    url = writable.url("team", listener="https")
    made = clone(url, tmp_path / "clone", trust=trust)
    made.hg("update", "-r", "min(head() and not closed())")
    new = made.commit("draft")
    secret = made.commit("secret")
    made.hg("phase", "--secret", "--force", secret)
    made.hg("push", "--force")
    assert HG7.text("log", "-r", new, "-T", "{phase}", folder=server) == "draft"
    assert made.phase(new) == "draft"
    assert "unknown revision" in HG7.refusal("log", "-r", secret, folder=server).decode()
    made.hg("phase", "--public", new)
    made.refusal("push", "-r", new)
    assert HG7.text("log", "-r", new, "-T", "{phase}", folder=server) == "public"


def test_what_a_publishing_repository_gets_is_public_everywhere(
    writable: Served, trust: tuple[str, str], tmp_path: Path
) -> None:
    url = writable.url("publishing", listener="https")
    made = clone(url, tmp_path / "clone", "-u", "@", trust=trust)
    new = made.commit("published")
    assert made.phase(new) == "draft"
    made.hg("push", "-r", new)
    assert made.phase(new) == "public"
    folder = writable.folders["publishing"]
    assert HG7.text("log", "-r", new, "-T", "{phase}", folder=folder) == "public"


def test_a_push_without_tls_is_refused_and_says_so(writable: Served, tmp_path: Path) -> None:
    made = clone(writable.url("team"), tmp_path / "clone", "-u", "@")
    new = made.commit("in the clear")
    assert "ssl required" in made.refusal("push", "--force", "-r", new)
    assert HG7.refusal("log", "-r", new, folder=writable.folders["team"])


def test_a_push_without_tls_is_taken_where_the_repository_says_so(
    writable: Served, tmp_path: Path
) -> None:
    made = clone(writable.url("plain"), tmp_path / "clone", "-u", "@")
    new = made.commit("in the clear")
    made.hg("push", "--force", "-r", new)
    assert HG7.nodes(new, folder=writable.folders["plain"]) == [new]


def test_a_push_where_nobody_may_is_refused(writable: Served, tmp_path: Path) -> None:
    made = clone(writable.url("closed"), tmp_path / "clone", "-u", "@")
    new = made.commit("not wanted")
    assert "authoriz" in made.refusal("push", "--force", "-r", new)
    assert HG7.refusal("log", "-r", new, folder=writable.folders["closed"])


# --- side by side ---------------------------------------------------------------------------------


def test_six_clients_push_at_once_and_nothing_that_was_taken_is_lost(
    writable: Served, tmp_path: Path
) -> None:
    url = writable.url("plain")
    first = clone(url, tmp_path / "0", "-u", "@")
    for number in range(1, PUSHERS):
        copy_repository(first.folder, tmp_path / str(number))

    def push(number: int) -> list[str]:
        """Push to a branch of one's own; every second client insists."""
        mine = Clone(tmp_path / str(number), ())
        mine.hg("branch", f"of-{number}")
        force = ("--force",) if number % 2 else ("--new-branch",)
        taken = []
        for turn in range(PUSHES):
            node = mine.commit(f"{number}, {turn}")
            mine.hg("bookmark", "--force", f"by-{number}")
            for _ in range(TRIES):
                try:
                    mine.hg("push", *force, "-r", node, "-B", f"by-{number}")
                except HgError as error:
                    assert b"please try again" in error.output, error  # noqa: PT017 expected to be raised or not
                else:
                    taken.append(node)
                    break
        return taken

    with ThreadPoolExecutor(PUSHERS) as threads:
        taken = list(threads.map(push, range(PUSHERS)))
    server = writable.folders["plain"]
    assert [len(nodes) for nodes in taken] == [PUSHES] * PUSHERS
    view = HG7.view(server)
    assert {node for nodes in taken for node in nodes} <= set(view.changesets)
    assert {name: node for name, node in view.bookmarks.items() if name.startswith("by-")} == {
        f"by-{number}": nodes[-1] for number, nodes in enumerate(taken)
    }
    HG7.verify(server)


# --- moved ----------------------------------------------------------------------------------------


def test_clients_of_a_repository_that_has_moved_work_on(writable: Served, tmp_path: Path) -> None:
    new = writable.url("plain")
    said = HG7.text("clone", writable.url("old"), "clone", folder=tmp_path)
    assert f"real URL is {new}" in said
    made = Clone(tmp_path / "clone", ())
    node = made.commit("to the old path")
    assert "remote: added 1 changesets" in made.hg("push")
    assert HG7.nodes(node, folder=writable.folders["plain"]) == [node]
    # Who asks for something else there is answered there.
    with urlopen(f"{writable.url('old')}/raw-rev/{node}") as answer:  # noqa: S310 our own URL
        assert answer.url.endswith(f"/old/raw-rev/{node}")
        assert node.encode() in answer.read()
