"""Clones of unmodified clients that unpack a bundle of ours first, and what ends one."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from support.accounts import write_htpasswd
from support.changing import made_secret, stripped
from support.hg import HG7, copy_repository
from support.own_names import own_names
from support.repositories import run_hg, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg

DRAFTS: Final = "[phases]\npublish = no\n"
EVOLUTION: Final = "[experimental]\nevolution = all\n"
NOT_SECRET: Final = "not secret()"
MADE: Final = r"a bundle of \S+/%s is kept"
REMOVED: Final = r"a bundle of \S+/%s is removed"
INLINE: Final = "get_cached_bundle_inline"
UNPACKED: Final = b"finished applying clone bundle"
SETTINGS: Final = 'push_ssl = false\nallow-push = ["*"]'
INLINE_PREFIX: Final = b"peer-bundle-cache://"


class Bundled:
    """One repository of a daemon that has made bundles of it."""

    def __init__(self, served: Served, name: str, folder: Path) -> None:
        self.served = served
        self.name = name
        self.url = served.url(name)
        self.folder = folder
        self.repository = served.folders[name]
        self.made = 0

    @property
    def last(self) -> Path:
        """The last clone."""
        return self.folder / f"clone-{self.made}"

    def clone(self, *options: str, hg: Hg = HG7) -> bytes:
        """Clone, compare the clone with the repository, and return what `hg` has printed."""
        self.made += 1
        output = hg.run(
            "clone", "--noupdate", *options, self.url, str(self.last), folder=self.folder
        )
        HG7.verify(self.last)
        found, wanted = HG7.view(self.last), HG7.view(self.repository, NOT_SECRET)
        assert found.changesets == wanted.changesets  # phases are in it
        assert found.heads == wanted.heads
        assert found.tags == wanted.tags
        # Divergent ones are nobody else's business.
        assert found.bookmarks == {
            name: node for name, node in wanted.bookmarks.items() if "@" not in name[1:]
        }
        return output

    def get(self, query: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        """Send a request to something below the repository's path."""
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.netloc, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path + query, headers=named)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def manifest(self, command: str = "clonebundles_manifest") -> list[bytes]:
        """Return the entries of the manifest."""
        response, body = self.get(f"?cmd={command}", X_HgProto_1="0.1 0.2 comp=none")
        assert response.status == 200
        return body.splitlines()

    def inline(self) -> str:
        """Return the name of the bundle in the manifest."""
        (name,) = {
            line.split()[0].removeprefix(INLINE_PREFIX).decode()
            for line in self.manifest()
            if line.startswith(INLINE_PREFIX) and b"stream" not in line
        }
        return name

    def capabilities(self) -> list[str]:
        """Return the capabilities of version 1."""
        return self.get("?cmd=capabilities")[1].decode().split()


STREAMED: Final = "streamed"
"""One of which nothing is hidden: its store may be copied."""


@pytest.fixture(scope="module")
def served(
    short: Generated, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Served]:
    """A daemon with a repository for each test, which was cloned once and has bundles."""
    # One daemon, because bundles of all of them are made at once.
    names = [*own_names(request, "bundled").values(), STREAMED]
    folder = tmp_path_factory.mktemp("bundled")
    first = copy_repository(short.folder, folder / "first")
    write_hgrc(first, DRAFTS + EVOLUTION)
    commit(first)
    folders = {name: copy_repository(first, folder / name) for name in names}
    write_hgrc(folders[STREAMED], DRAFTS)
    run_hg("phase", "--public", "-r", "all()", folder=folders[STREAMED])
    with Served.start(folders, folder, web=SETTINGS) as served:
        for name in names:
            Bundled(served, name, folder).get("?cmd=getbundle", X_HgArg_1=EVERYTHING)
        for name in names:
            served.daemon.wait_for_log(MADE % name)
        served.daemon.wait_for_log(MADE % STREAMED + ": none-v2;stream=v2")
        for repository in folders.values():
            # From here on the answer that was kept above is not the right one any more.
            run_hg("bookmark", "-r", "1", "one more", folder=repository)
        yield served


EVERYTHING: Final = "bundlecaps=HG20&cg=1&common=" + "0" * 40
"""The arguments of a clone."""


@pytest.fixture
def bundled(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Bundled:
    """One of the repositories, which no other test uses."""
    own = own_names(request, "bundled")[request.node.nodeid]
    return Bundled(served, STREAMED if "stream" in request.node.name else own, tmp_path)


def commit(repository: Path, *options: str) -> None:
    """Commit one more file."""
    run_hg("update", "-q", "-C", "last(not secret())", folder=repository)
    name = f"more-{len(list(repository.iterdir()))}"
    (repository / name).write_text(name, encoding="ascii")
    run_hg("commit", "-A", "-q", "-u", "x", "-m", name, *options, folder=repository)


def test_a_clone_unpacks_the_bundle_and_pulls_what_is_new(bundled: Bundled) -> None:
    assert {"clonebundles", "clonebundles_manifest"} <= set(bundled.capabilities())
    commit(bundled.repository)
    after = bundled.served.lines_logged()
    assert UNPACKED in bundled.clone()
    asked = "\n".join(bundled.served.targets(after=after))
    assert re.search(INLINE, asked)
    # What is pulled behind it is small.
    log = "\n".join(bundled.served.daemon.log.splitlines()[after:])
    (size,) = re.findall(r"cmd=getbundle HTTP/1.1\" 200 (\d+)", log)
    assert int(size) < 20_000


def test_a_clone_of_what_is_in_the_bundle_pulls_nothing(bundled: Bundled) -> None:
    assert UNPACKED in bundled.clone()


def test_a_stream_is_a_bundle_too_where_nothing_is_hidden(bundled: Bundled) -> None:
    stream, changes = (line for line in bundled.manifest() if line.startswith(INLINE_PREFIX))
    assert changes.endswith(b" BUNDLESPEC=zstd-v2")
    assert b"BUNDLESPEC=none-v2%3Bstream%3Dv2%3Brequirements%3Dgeneraldelta%252C" in stream
    commit(bundled.repository)
    assert UNPACKED in bundled.clone("--stream")
    assert UNPACKED in bundled.clone()
    # A changeset that is public to those who have copied the store must not be a draft again.
    run_hg("phase", "--draft", "-f", "-r", "0", folder=bundled.repository)
    assert [line for line in bundled.manifest() if line.startswith(INLINE_PREFIX)] == [changes]
    assert UNPACKED in bundled.clone()


def test_a_pull_into_an_empty_repository_unpacks_it_and_another_one_does_not(
    bundled: Bundled,
) -> None:
    run_hg("init", "empty", folder=bundled.folder)
    empty = bundled.folder / "empty"
    assert UNPACKED in HG7.run("pull", bundled.url, folder=empty)
    commit(bundled.repository)
    assert UNPACKED not in HG7.run("pull", bundled.url, folder=empty)
    HG7.verify(empty)


def secret_added(repository: Path) -> None:
    commit(repository, "--secret")


def made_obsolete(repository: Path) -> None:
    run_hg("update", "-q", "null", folder=repository)  # what is checked out is never hidden
    node = HG7.nodes("last(heads(not secret()))", folder=repository)[0]
    run_hg("debugobsolete", node, folder=repository)


def made_and_hidden_by_a_push(repository: Path) -> None:
    """Replace a draft by another, and commit behind it: nothing of the old one is served."""
    node = HG7.nodes("last(heads(not secret()))", folder=repository)[0]
    run_hg("update", "-q", "-C", f"{node}^", folder=repository)
    (repository / "instead").write_text("instead", encoding="ascii")
    run_hg("commit", "-A", "-q", "-u", "x", "-m", "instead", folder=repository)
    (successor,) = HG7.nodes(".", folder=repository)
    run_hg("debugobsolete", node, successor, folder=repository)
    commit(repository)


@pytest.mark.parametrize(
    "change", [made_secret, stripped, made_obsolete, made_and_hidden_by_a_push]
)
def test_a_bundle_is_removed_as_soon_as_not_all_of_it_is_served(
    bundled: Bundled, change: Callable[[Path], None]
) -> None:
    name = bundled.inline()
    change(bundled.repository)
    after = bundled.served.lines_logged()
    # The first who asks is one that was told of it before.
    assert bundled.get(f"/.hg/clonebundles/{name}")[0].status == 404
    bundled.served.daemon.wait_for_log(REMOVED % bundled.name, after=after)
    assert bundled.manifest() == []
    assert UNPACKED not in bundled.clone()
    assert "clonebundles" not in bundled.capabilities()


def test_a_new_secret_changeset_is_in_no_clone_and_the_bundle_stays(bundled: Bundled) -> None:
    secret_added(bundled.repository)
    commit(bundled.repository)
    assert UNPACKED in bundled.clone()
    secrets = HG7.nodes("secret()", folder=bundled.repository)
    assert secrets
    assert set(HG7.nodes("all()", folder=bundled.last)).isdisjoint(secrets)


def test_what_was_taken_out_of_a_file_is_in_no_bundle(bundled: Bundled) -> None:
    repository = bundled.repository
    name = bundled.inline()
    (node,) = HG7.nodes("tip", folder=repository)
    (file,) = HG7.text(
        "log", "-r", "last(not secret())", "-T", "{files}", folder=repository
    ).split()
    run_hg("rm", file, folder=repository)
    run_hg("commit", "-q", "-u", "x", "-m", "gone", folder=repository)
    censor = ("--config", "extensions.censor=", "censor", "--no-check-heads", "-r", f"{node}", file)
    run_hg(*censor, folder=repository)
    assert bundled.get(f"/.hg/clonebundles/{name}")[0].status == 404


def test_an_older_client_is_sent_the_file(bundled: Bundled, hg6: Hg) -> None:
    (line,) = bundled.manifest("clonebundles")
    assert line.startswith(f"{bundled.url}/.hg/clonebundles/".encode())
    commit(bundled.repository)
    after = bundled.served.lines_logged()
    assert UNPACKED in bundled.clone(hg=hg6)
    asked = "\n".join(bundled.served.targets(after=after))
    assert "/.hg/clonebundles/" in asked
    assert INLINE not in asked


def test_behind_a_proxy_that_nobody_trusts_no_url_is_guessed(bundled: Bundled) -> None:
    for headers in ({"X_Forwarded_For": "10.1.1.1"}, {"Via": "1.1 proxy"}, {"X_Real_IP": "::1"}):
        assert bundled.get("?cmd=clonebundles", **headers)[1] == b""


def test_those_who_may_not_read_or_pull_get_no_bundle(bundled: Bundled) -> None:
    path = f"/.hg/clonebundles/{bundled.inline()}"
    assert bundled.get(path)[0].status == 200
    for setting in ("deny_read = *", "allow_read = alice", "allow-pull = no"):
        write_hgrc(bundled.repository, f"{DRAFTS}{EVOLUTION}[web]\n{setting}\n")
        for query in (path, "?cmd=clonebundles_manifest", f"?cmd={INLINE}"):
            response, body = bundled.get(query, X_HgArg_1=f"path={path.rpartition('/')[2]}")
            assert response.status == 401
            assert len(body) < 100
        assert HG7.refusal("clone", bundled.url, "no", folder=bundled.folder)


def test_a_repository_may_have_no_bundles(bundled: Bundled) -> None:
    path = f"/.hg/clonebundles/{bundled.inline()}"
    for setting in ("clone-bundles = no", "keep-clones = no"):
        write_hgrc(bundled.repository, f"{DRAFTS}{EVOLUTION}[wiredaemon]\n{setting}\n")
        assert "clonebundles" not in bundled.capabilities()
        assert UNPACKED not in bundled.clone()
        assert bundled.get(path)[0].status == 404


def test_what_a_person_has_written_goes_first(bundled: Bundled) -> None:
    file = bundled.repository / ".hg" / "clonebundles.manifest"
    file.write_text("https://cdn.example.org/a.hg BUNDLESPEC=gzip-v2\n", encoding="ascii")
    assert bundled.manifest()[0] == b"https://cdn.example.org/a.hg BUNDLESPEC=gzip-v2"
    assert bundled.manifest()[1].startswith(INLINE_PREFIX)
    assert bundled.manifest("clonebundles")[0].startswith(b"https://cdn.example.org/a.hg ")
    # Of a kind that no client knows: it is passed over.
    file.write_text("https://cdn.example.org/a.hg BUNDLESPEC=other-v9\n", encoding="ascii")
    assert UNPACKED in bundled.clone()


def test_a_bundle_is_a_file_of_which_a_part_can_be_had(bundled: Bundled) -> None:
    path = f"/.hg/clonebundles/{bundled.inline()}"
    response, whole = bundled.get(path)
    etag = response.headers["ETag"]
    assert response.headers["Content-Length"] == str(len(whole))
    assert response.headers["Accept-Ranges"] == "bytes"
    assert whole.startswith(b"HG20")
    response, body = bundled.get(path, "HEAD")
    assert (response.headers["Content-Length"], body) == (str(len(whole)), b"")
    response, body = bundled.get(path, Range="bytes=100-199", If_Range=etag)
    assert (response.status, body) == (206, whole[100:200])
    assert response.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert bundled.get(path, Range="bytes=100-199", If_Range='"other"')[1] == whole
    response, body = bundled.get(path, If_None_Match=etag)
    assert (response.status, body) == (304, b"")
    assert bundled.get(path, Range=f"bytes={len(whole)}-")[0].status == 416
    assert bundled.get(path, "POST")[0].status == 405
    file = bundled.folder / "bundle.hg"
    file.write_bytes(whole)
    run_hg("init", "unpacked", folder=bundled.folder)
    run_hg("unbundle", "-q", str(file), folder=bundled.folder / "unpacked")
    HG7.verify(bundled.folder / "unpacked")


def test_a_name_that_is_none_is_no_bundle(bundled: Bundled) -> None:
    for name in ("", "x", "x.hg", "0" * 40 + ".hg", "%FF.hg", "a/b.hg"):
        assert bundled.get(f"/.hg/clonebundles/{name}")[0].status == 404


def test_who_has_logged_in_is_sent_it_also_behind_a_restart(
    short: Generated, tmp_path: Path, hg6: Hg
) -> None:
    repository = copy_repository(short.folder, tmp_path / "private")
    write_hgrc(repository, f"{DRAFTS}[web]\nallow_read = ann\n")
    write_htpasswd(tmp_path / "htpasswd", ann="secret")
    tables = f"[auth]\nhtpasswd = {json.dumps(str(tmp_path / 'htpasswd'))}\n"
    credentials = {"Authorization": "Basic " + b64encode(b"ann:secret").decode()}
    name = ""
    for is_first in (True, False):
        with Served.start({"private": repository}, tmp_path, web=SETTINGS, tables=tables) as served:
            bundled = Bundled(served, "private", tmp_path)
            if is_first:
                bundled.get("?cmd=getbundle", X_HgArg_1=EVERYTHING, **credentials)
                served.daemon.wait_for_log(MADE % "private")
                run_hg("bookmark", "-r", "1", "one more", folder=repository)
            _, manifest = bundled.get("?cmd=clonebundles", **credentials)
            path = urlsplit(manifest.split()[0].decode()).path
            name = name or path
            assert path == name
            assert bundled.get(path.removeprefix("/private"))[0].status == 401
            url = bundled.url.replace("://", "://ann:secret@")
            client, target = (hg6, "a") if is_first else (HG7, "b")
            assert UNPACKED in client.run("clone", "--noupdate", url, target, folder=tmp_path)
