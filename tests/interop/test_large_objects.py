"""The extensions `lfs` and `largefiles` of 7.2, with real clients, on several repositories.

What one repository holds is neither given nor taken for uploaded by another one, and what is
damaged or missing on the disk is never sent.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.environment import LOOPBACK
from support.hg import HG7
from support.repositories import make_repository, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONTENT: Final = b"an object of some size\n" * 1000
OID: Final = hashlib.sha256(CONTENT).hexdigest()
SHA: Final = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
OTHER: Final = "0" * 64
BATCH: Final = ".git/info/lfs/objects/batch"
JSON: Final = "application/vnd.git-lfs+json"
LFS: Final = "[extensions]\nlfs =\n"
LARGE: Final = "[extensions]\nlargefiles =\n"
WRITABLE: Final = "[web]\nallow-push = *\npush_ssl = no\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request, whole."""

    status: int
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """A daemon with repositories of both extensions, and a client's folder."""

    served: Served
    folder: Path
    uploaded: Path
    """The object of lfs on the server's disk."""
    large: Path
    """The largefile on the server's disk."""

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        port = self.served.daemon.port("http")
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
        try:
            connection.request(method, f"/{path}", body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(status=answer.status, reason=answer.reason, body=answer.read())
        finally:
            connection.close()

    def batch(
        self, name: str, operation: str, said_by_client: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What a repository says of the object."""
        wanted = {"operation": operation, "objects": [{"oid": OID, "size": len(CONTENT)}]}
        headers = {"Content-Type": JSON, "Accept": JSON, **(said_by_client or {})}
        answer = self.ask(f"{name}/{BATCH}", "POST", json.dumps(wanted).encode(), headers)
        assert answer.status == 200
        said: dict[str, Any] = json.loads(answer.body)["objects"][0]
        return said

    def state(self, name: str) -> bytes:
        """What `statlfile` says of the largefile."""
        return self.ask(f"{name}?cmd=statlfile&sha={SHA}").body


def options(folder: Path, *extensions: str) -> list[str]:
    """The options of a client whose caches are its own."""
    settings = [
        *(f"extensions.{name}=" for name in extensions),
        f"lfs.usercache={folder / 'lfs-cache'}",
        f"largefiles.usercache={folder / 'large-cache'}",
        "lfs.track=all()",
    ]
    return [part for setting in settings for part in ("--config", setting)]


def push_new(url: str, folder: Path, *extensions: str) -> None:
    """Let a client commit the content, and push it."""
    clone = folder / "clone"
    HG7.run("clone", url, str(clone), *options(folder, *extensions), folder=folder)
    (clone / "object").write_bytes(CONTENT)
    add = ["add", "--large"] if "largefiles" in extensions else ["add"]
    HG7.run(*add, "object", *options(folder, *extensions), folder=clone)
    HG7.run("commit", "-m", "an object", *options(folder, *extensions), folder=clone)
    HG7.run("push", *options(folder, *extensions), folder=clone)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    tmp_path = tmp_path_factory.mktemp("objects")
    hgrcs = {
        "closed": LFS + WRITABLE,
        "open": LFS + WRITABLE,
        "no-pull": LFS + "[web]\nallow-pull = no\n",
        "secure": LFS + "[web]\nallow-push = *\n",
        "large-closed": LARGE + WRITABLE,
        "large-open": LARGE + WRITABLE,
        "large-secure": LARGE + "[web]\nallow-push = *\n",
        "public": LFS + WRITABLE + "baseurl = https://code.example/x\n",
    }
    folders = {name: make_repository(tmp_path / name) for name in hgrcs}
    for name, text in hgrcs.items():
        write_hgrc(folders[name], text)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("files", "large-files"):
        (tmp_path / name).mkdir()
    variables = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    with Served.start(folders, tmp_path, variables=variables) as served:
        push_new(served.url("closed"), tmp_path / "files", "lfs")
        push_new(served.url("large-closed"), tmp_path / "large-files", "largefiles")
        yield Objects(
            served=served,
            folder=tmp_path,
            uploaded=folders["closed"] / ".hg/store/lfs/objects" / OID[:2] / OID[2:],
            large=folders["large-closed"] / ".hg/largefiles" / SHA,
        )
    assert not (home / "cache").exists()


def test_each_repository_has_objects_of_its_own(objects: Objects) -> None:
    path = f".hg/lfs/objects/{OID}"
    assert objects.ask(f"closed/{path}").body == CONTENT
    assert "download" in objects.batch("closed", "download")["actions"]
    assert objects.ask(f"open/{path}").status == 404
    assert objects.batch("open", "download")["error"]["code"] == 404
    assert "upload" in objects.batch("open", "upload")["actions"]
    assert "actions" not in objects.batch("closed", "upload")
    assert objects.state("large-closed") == b"0\n"
    assert objects.state("large-open") == b"2\n"
    answer = objects.ask(f"large-open?cmd=getlfile&sha={SHA}")
    assert answer.status != 200
    assert CONTENT not in answer.body


def test_links_to_objects_are_those_that_the_client_knows(objects: Objects) -> None:
    host = {"Host": "hg.example.org:81"}
    action = objects.batch("closed", "download", host)["actions"]["download"]
    assert action["href"] == f"http://hg.example.org:81/closed/.hg/lfs/objects/{OID}"
    action = objects.batch("public", "upload", host)["actions"]["upload"]
    assert action["href"] == f"https://code.example/x/public/.hg/lfs/objects/{OID}"


def test_clients_clone_both(objects: Objects) -> None:
    for name, extension in (("closed", "lfs"), ("large-closed", "largefiles")):
        target, fresh = objects.folder / f"copy-{extension}", objects.folder / extension
        own = options(fresh, extension)
        HG7.run("clone", objects.served.url(name), str(target), *own, folder=objects.folder)
        assert (target / "object").read_bytes() == CONTENT


def test_a_missing_object_is_404(objects: Objects) -> None:
    for name in (OTHER, "no-hash", OID.upper()):
        answer = objects.ask(f"closed/.hg/lfs/objects/{name}")
        assert (answer.status, answer.reason) == (404, "The object does not exist")


def test_a_damaged_object_is_never_sent(objects: Objects) -> None:
    objects.uploaded.write_bytes(CONTENT[:-1] + b"?")
    answer = objects.ask(f"closed/.hg/lfs/objects/{OID}")
    assert (answer.status, answer.reason, answer.body) == (422, "corrupt blob", b"")
    assert objects.batch("closed", "download")["error"]["code"] == 422
    assert "LfsCorruptionError" in objects.served.daemon.log
    assert "upload" in objects.batch("closed", "upload")["actions"]
    objects.ask(f"closed/.hg/lfs/objects/{OID}", "PUT", CONTENT)
    assert objects.ask(f"closed/.hg/lfs/objects/{OID}").body == CONTENT


def test_a_damaged_largefile_is_missing_until_it_is_uploaded_again(objects: Objects) -> None:
    objects.large.write_bytes(CONTENT[:-1] + b"?")
    assert objects.state("large-closed") == b"2\n"
    answer = objects.ask(f"large-closed?cmd=getlfile&sha={SHA}")
    assert b"not present in cache" in answer.body + answer.reason.encode()
    assert b"an object" not in answer.body
    headers = {"Content-Type": "application/mercurial-0.1"}
    put = f"large-closed?cmd=putlfile&sha={SHA}"
    assert objects.ask(put, "POST", CONTENT, headers).body.startswith(b"0\n")
    assert objects.state("large-closed") == b"0\n"
    assert objects.ask(f"large-closed?cmd=getlfile&sha={SHA}").body.endswith(CONTENT)


def test_a_largefile_has_a_hash_for_its_name(objects: Objects) -> None:
    (objects.large.parent / "other").write_bytes(CONTENT)
    assert objects.ask("large-closed?cmd=statlfile&sha=other").body == b"2\n"
    assert objects.ask("large-closed?cmd=getlfile&sha=other").status != 200
    answer = objects.ask("large-closed?cmd=putlfile&sha=folder/other", "POST", b"")
    assert answer.body.startswith(b"1\n")
    assert not (objects.large.parent / "folder").exists()


def test_objects_obey_allow_pull_and_pages_do_not(objects: Objects) -> None:
    for path, method in ((f".hg/lfs/objects/{OID}", "GET"), (BATCH, "POST")):
        answer = objects.ask(f"no-pull/{path}", method, b"{}" if method == "POST" else None)
        assert (answer.status, answer.body) == (401, b"0\npull not authorized\n")
    assert objects.ask("no-pull").status == 200


@pytest.mark.parametrize("size", [1, 1 << 30])
@pytest.mark.parametrize(
    ("path", "method"),
    [
        (f"secure/.hg/lfs/objects/{OID}", "PUT"),
        ("secure?cmd=unbundle", "POST"),
        (f"large-secure?cmd=putlfile&sha={SHA}", "POST"),
    ],
)
def test_a_push_without_tls_is_refused_for_that_before_its_body_is_read(
    objects: Objects, path: str, method: str, size: int
) -> None:
    port = objects.served.daemon.port("http")
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    connection.putrequest(method, f"/{path}")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.reason) == (403, "ssl required")
    assert answer.read() == b"0\nssl required\n"
    connection.close()
