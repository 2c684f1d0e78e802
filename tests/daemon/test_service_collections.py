"""A running daemon on folders full of real repositories, which come and go."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import peers
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.peers import item, parse_frames, read_answers, request_frames
from support.raw_http import post
from support.repositories import make_repository, run_hg, write_hgrc
from support.web import API, MEDIA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.raw_http import RawResponse

MISSING = b"no repository is served at this path\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    daemon: Daemon
    folder: Path

    def make(self, name: str) -> bytes:
        """Make a repository with one changeset, and give its node."""
        repository = self.folder / name
        repository.parent.mkdir(parents=True, exist_ok=True)
        make_repository(repository)
        (repository / "file").write_text(name)
        run_hg("commit", "-A", "-m", name, "-u", "test", "-d", "0 0", folder=repository)
        return bytes.fromhex(run_hg("log", "-T", "{node}", folder=repository).decode())

    def get(self, target: str, method: str = "GET") -> RawResponse:
        with self.daemon.connect() as connection:
            return connection.exchange(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def heads(self, path: str) -> RawResponse:
        """Ask for the heads over HTTP."""
        headers = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
        body = b"".join(request_frames("0006", 1, b"heads"))
        with self.daemon.connect() as connection:
            target = f"/{path}/api/{API['0006']}/ro/heads"
            return connection.exchange(post(target, "x", headers, body))

    def heads_raw(self, path: str) -> peers.Answer:
        """Ask for the heads over raw TCP."""
        content = item({b"name": b"heads", b"path": path.encode()}, canonical=False)
        frames: list[peers.WireFrame] = []
        with self.daemon.connect("framed") as connection:
            connection.send(b"".join(peers.map_frames("0006", 1, content)))
            while True:
                header = connection.receive_exactly(8)
                payload = connection.receive_exactly(int.from_bytes(header[:3], "little"))
                (frame,) = parse_frames(header + payload)
                frames.append(frame)
                if frame.flags & 2 and frame.type_number == peers.NUMBERS["0006"]["response"]:
                    return read_answers("0006", frames)[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("collections")
    text = f"""
[data]
folder = "data"
[listen]
http = ["{ANY_PORT}"]
framed = ["{ANY_PORT}"]
[paths]
"/single" = "single"
"/team/*" = "hg/*"
"/all/**" = "hg/**"
"/later/*" = "later/*"
"/new/*" = "new/*"
"/own/*" = "own/*"
[moved]
"/old" = "/new"
"/own/was" = "/own/now"
"""
    (folder / "hg").mkdir()
    with Daemon.start(text, folder) as daemon:
        yield Served(daemon=daemon, folder=folder)


def content(node: bytes) -> bytes:
    return item({b"status": b"ok"}, canonical=False) + item([node], canonical=False)


def answered(response: RawResponse) -> bytes:
    assert response.status_line == b"HTTP/1.1 200 OK"
    return read_answers("0006", parse_frames(response.body))[1].content


def refused(response: RawResponse) -> None:
    assert (response.status_line, response.body) == (b"HTTP/1.1 404 Not Found", MISSING)


def test_a_repository_is_served_once_it_is_made_and_no_more_once_it_is_removed(
    served: Served,
) -> None:
    refused(served.heads("team/sub/new"))
    node = served.make("hg/sub/new")
    inner = served.make("hg/sub/new/inner")
    for path in ("team/sub/new", "all/sub/new"):
        assert answered(served.heads(path)) == content(node)
        assert served.heads_raw(f"/{path}").content == content(node)
    assert answered(served.heads("all/sub/new/inner")) == content(inner)
    assert served.heads_raw("/all/sub/new/inner").content == content(inner)
    assert b"no repository is served" in served.heads_raw("/team/sub/new/inner").content
    shutil.rmtree(served.folder / "hg" / "sub")
    for path in ("team/sub/new", "all/sub/new", "all/sub/new/inner"):
        refused(served.heads(path))
        assert b"no repository is served" in served.heads_raw(path).content


def test_the_index_lists_what_may_be_read_as_the_hgrc_describes_it(served: Served) -> None:
    served.make("hg/one")
    served.make("hg/sub/two")
    served.make("hg/hidden")
    served.make("hg/denied")
    write_hgrc(served.folder / "hg/one", "[web]\ndescription = <b>One\ncontact = Ann\n")
    write_hgrc(served.folder / "hg/hidden", "[web]\nhidden = yes\n")
    write_hgrc(served.folder / "hg/denied", "[web]\ndeny_read = *\n")
    assert served.get("/team/?style=raw").body == b"/team/one/\n/team/sub/two/\n"
    assert served.get("/all/sub?style=raw").body == b"/all/sub/two/\n"
    page = served.get("/team/")
    assert page.status_line == b"HTTP/1.1 200 OK"
    assert page.header(b"Content-Type") == b"text/html; charset=utf-8"
    assert b'<a href="/team/one/">one</a></td><td>&lt;b&gt;One</td><td>Ann</td>' in page.body
    assert b"denied" not in page.body
    assert b"hidden" not in page.body
    head = served.get("/team/", "HEAD")
    assert head.header(b"Content-Length") == b"%d" % len(page.body)
    assert served.get("/team/", "PUT").status_line == b"HTTP/1.1 405 Method Not Allowed"
    # A change of an hgrc counts at once.
    write_hgrc(served.folder / "hg/denied", "")
    assert b"/team/denied/\n" in served.get("/team/?style=raw").body
    shutil.rmtree(served.folder / "hg/denied")
    assert b"/team/denied/\n" not in served.get("/team/?style=raw").body


def test_a_folder_that_is_missing_at_the_start_is_said_and_served_when_it_is_there(
    served: Served,
) -> None:
    folder = served.folder / "later"
    served.daemon.wait_for_log(f"the folder {folder} is missing")
    refused(served.heads("later/one"))
    assert served.get("/later/?style=raw").body == b""
    node = served.make("later/one")
    assert answered(served.heads("later/one")) == content(node)
    assert served.get("/later/?style=raw").body == b"/later/one/\n"


def test_a_collection_that_has_moved_has_its_list_and_its_repositories_at_the_old_path(
    served: Served,
) -> None:
    node = served.make("new/one")
    assert served.get("/old/?style=raw").body == b"/new/one/\n"
    assert b"one" in served.get("/old").body
    assert answered(served.heads("old/one")) == content(node)
    assert served.heads_raw("/old/one").content == content(node)
    assert served.get("/old/one/raw-file/tip/file").body == b"new/one"
    refused(served.heads("old/two"))


def test_a_new_repository_at_an_old_path_is_served_and_the_log_says_so(served: Served) -> None:
    moved = served.make("own/now")
    assert answered(served.heads("own/was")) == content(moved)
    assert served.heads_raw("/own/was").content == content(moved)
    made = served.make("own/was")
    assert answered(served.heads("own/was")) == content(made)
    assert served.heads_raw("/own/was").content == content(made)
    served.daemon.wait_for_log(r"moved\./own/was: there is a repository at /own/was")
    assert answered(served.heads("own/now")) == content(moved)


def test_single_entries_are_served_beside_collections_and_listed_at_the_root(
    served: Served,
) -> None:
    node = served.make("single")
    assert answered(served.heads("single")) == content(node)
    assert b"/single/\n" in served.get("/?style=raw").body


@pytest.mark.parametrize(
    "path",
    [
        "team/../single",
        "team/%2e%2e/single",
        "team/%2e%2e%2fsingle",
        "team/..%5csingle",
        "team/%252e%252e/single",
        "team/one/.hg",
        "team/link",
        "team/one%00",
    ],
)
def test_nothing_outside_of_the_folders_is_served(served: Served, path: str) -> None:
    if not (served.folder / "outside").exists():
        served.make("outside")
        (served.folder / "hg" / "link").symlink_to(served.folder / "outside")
    response = served.heads(path)
    assert response.status_line.split()[1] in {b"400", b"404"}
    assert b"status" not in response.body
