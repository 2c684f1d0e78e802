"""Pages and commands beside Mercurial's own server: the same requests, in the same run, to both.

Status, reason phrase, the headers that matter and the body are compared. What differs stands in
`DIFFERENCES`, with its reason; nothing else may.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.environment import client_environment
from support.hg import HG7, hg_serve
from support.raw_http import RawConnection
from support.repositories import make_repository, run_hg, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.raw_http import RawResponse

COMPARED: Final = (*(b"Content-Type", b"Content-Disposition", b"ETag", b"Location"),)

REPOSITORY: Final = Path(__file__).with_name("requests.txt").read_text("utf-8").split()
"""Paths below a repository's own, with their queries."""

DIFFERENCES: Final[dict[str, str]] = {
    "/?cmd=unbundle": "The text of a refusal has no type, as the transcripts have it.",
    "/?cmd=pushkey": "The text of a refusal has no type, as the transcripts have it.",
    "/filelog/nothing/file": "Of what a page is about, the changeset is looked for first.",
    "/raw-file/nothing/file": "Of what a page is about, the changeset is looked for first.",
}
"""Requests that are answered otherwise, with the reason."""

FAILING: Final[dict[str, int]] = {
    # Mercurial's own server has no answer but 500 to a request that makes no sense.
    "/archive": 400,
    "/?cmd=archive": 400,
    "/?cmd=listkeys": 400,
    "/?cmd=known": 400,
    "/?cmd=between&pairs=x": 400,
    "/?cmd=getbundle&heads=x": 400,
    "/?cmd=get_cached_bundle_inline&path=nothing": 400,
    # It fails for names that are not ASCII, in headers and in searches.
    "/raw-file/tip/caf%C3%A9": 200,
    "/log?rev=caf%E9": 200,
    # In JSON it fails for what is no UTF-8.
    "/json-rev/%E9": 404,
    # It fails for a path that is illegal.
    "/static/..%2fx": 404,
}
"""Requests that the other server fails for with a 500, and what the daemon answers."""


CONFIGURED: Final = """
[revsetalias]
mine = branch(other)
[ui]
verbose = true
[hooks]
prelistkeys = env > env.txt
[web]
style = gitweb
motd = <b>Hello</b>
maxchanges = 2
maxshortchanges = 1
maxfiles = 1
comparisoncontext = 0
guessmime = true
cache = false
logourl = https://hg.example/
logoimg = other.png
staticurl = /static
stripes = 2
allow-archive = gz
csp = default-src 'self'; script-src 'nonce-%nonce%'
description = Something <else>
contact = Ann
name = The configured one
labels = one, two
[server]
compressionengines = zlib
bundle1 = false
uncompressed = false
maxhttpheaderlen = 2048
[phases]
publish = false
[experimental]
httppostargs = true
bundle2-advertise = false
"""
"""An hgrc of which HGPLAIN would leave out most."""


TESTED: Final = {"HGUSER", "HGMERGE", "HGENCODING"}
"""Variables that the tests give to one of the servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Mercurial's server and the daemon, on the same repositories."""

    theirs: int
    """The port of Mercurial's server."""
    ours: int
    """The port of the daemon."""
    folder: Path
    """The folder of the repositories."""

    def ask(self, target: str, method: str = "GET", **more: Any) -> tuple[RawResponse, RawResponse]:
        """Return the answers of Mercurial's server, and of the daemon."""
        return _ask(self.theirs, target, method, **more), _ask(self.ours, target, method, **more)


def _ask(
    port: int,
    target: str,
    method: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> RawResponse:
    named = {"Host": "hg.example", **(headers or {})}
    if body is not None:
        named["Content-Length"] = f"{len(body)}"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    with RawConnection(port) as connection:
        connection.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return connection.receive_response(has_body=method != "HEAD")


def seen(response: RawResponse) -> tuple[object, ...]:
    """Return all of a response that is the same for both."""
    named = [(name, response.header(name)) for name in COMPARED]
    # The daemon makes links for the host that was asked for, hgweb with the name of its own.
    body = re.sub(rb"http://(hg\.example|[a-z0-9.]+:\d+)/", b"http:///", response.body)
    # Another one for each answer.
    body = re.sub(rb'nonce="[^"]+"', b'nonce=""', body)
    policy = re.sub(rb"'nonce-[^']+'", b"", response.header(b"Content-Security-Policy") or b"")
    return response.status_line, named, policy, body


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("beside")
    repositories = folder / "hg"
    make_history(repositories / "team" / "one")
    shutil.copytree(repositories / "team" / "one", repositories / "failing")
    write_hgrc(repositories / "failing", "[hooks]\nprelistkeys = exit 3\n")
    shutil.copytree(repositories / "team" / "one", repositories / "configured")
    write_hgrc(repositories / "configured", CONFIGURED)
    (folder / "theirs").mkdir()
    (folder / "ours").mkdir()
    everything = repositories / "**"
    with (
        hg_serve(HG7, {"": everything}, folder / "theirs", variables=unplain()) as url,
        Served.start(
            # It has HGPLAIN and HGENCODING, as the shells of some people do.
            {"**": everything},
            folder / "ours",
            web='allow-push = ["*"]\npush_ssl = false',
            variables={"HGPLAIN": "1"},
        ) as served,
    ):
        port = int(url.rpartition(":")[2])
        yield Both(theirs=port, ours=served.daemon.port("http"), folder=repositories)


def unplain() -> dict[str, str]:
    """Return the environment of a server, as people start it."""
    return {name: value for name, value in client_environment().items() if name != "HGPLAIN"}


def make_history(folder: Path) -> None:
    """Make a repository with some of all that pages show."""
    folder.parent.mkdir(parents=True)
    make_repository(folder)
    (folder / "folder").mkdir()
    for number, branch in enumerate(["default", "default", "other"]):
        if number:
            run_hg("branch", "--force", branch, folder=folder)
        (folder / "file").write_text(f"line {number}\n" * (number + 2))
        (folder / "folder" / "a b").write_text(f"{number}")
        (folder / "page.html").write_text(f"<p>{number}</p>")
        (folder / "café").write_text(f"{number}")
        message = f"Changeset {number}: <tést>"
        run_hg(
            *("commit", "-A", "-m", message, "-u", "Tést <t@example.org>"),
            *("-d", f"{number} 0"),
            folder=folder,
        )
    run_hg("tag", "-r", "0", "first", "-u", "test", "-d", "9 0", folder=folder)
    run_hg("bookmark", "-r", "1", "mark", folder=folder)
    write_hgrc(
        folder,
        "[web]\ndescription = The <first>\ncontact = Me <me@example.org>\n"
        "allow-archive = zip gz bz2\n"
        # On a slow machine there would be some before the last request.
        "[wiredaemon]\nclone-bundles = no\n",
    )


@pytest.mark.parametrize("target", [each for each in REPOSITORY if each not in DIFFERENCES])
def test_an_answer_is_that_of_mercurials_own_server(both: Both, target: str) -> None:
    theirs, ours = both.ask(f"/team/one{target}")
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("target", DIFFERENCES)
def test_what_differs_has_the_same_status(both: Both, target: str) -> None:
    theirs, ours = both.ask(f"/team/one{target}")
    assert ours.status_line == theirs.status_line
    assert seen(ours) != seen(theirs)


@pytest.mark.parametrize("target", FAILING)
def test_where_mercurials_own_server_fails_there_is_an_answer(both: Both, target: str) -> None:
    theirs, ours = both.ask(f"/team/one{target}")
    assert (theirs.status, ours.status) == (500, FAILING[target])


def test_what_a_hook_fails_is_a_500(both: Both) -> None:
    theirs, ours = both.ask("/failing/?cmd=listkeys&namespace=phases")
    assert (theirs.status, ours.status) == (500, 500)
    assert ours.status_line.endswith(b" prelistkeys hook exited with status 3")
    assert both.ask("/failing/log")[1].status == 200


@pytest.mark.parametrize("target", ["/", "/log", "/rev/nothing", "/?cmd=heads", "/static/x"])
def test_the_head_of_an_answer_is_that_of_the_whole(both: Both, target: str) -> None:
    ours = both.ask(f"/team/one{target}")[1]
    head = _ask(both.ours, f"/team/one{target}", "HEAD")
    assert (head.status_line, seen(head)[1]) == (ours.status_line, seen(ours)[1])


def test_aliases_count_for_pages(both: Both) -> None:
    theirs, ours = both.ask("/configured/raw-log?rev=reverse(mine)")
    assert seen(ours) == seen(theirs)
    assert ours.body.count(b"changeset:") == 2


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/log", "/shortlog", "/rev/0", "/rev/tip", "/summary", "/file/0/", "/tags"),
        *("/json-summary", "/raw-file/0/page.html", "/comparison/0/file", "/archive/0.zip"),
        *("/archive/0.tar.gz", "/?cmd=heads", "/?cmd=hello", "/?cmd=branchmap"),
        *("/?cmd=listkeys&namespace=phases", "/?cmd=stream_out", "/static/style-gitweb.css"),
        *("/help", "/graph", "/paper-log", "/atom-log", "/branches", "/bookmarks"),
    ],
)
def test_settings_count_as_with_mercurials_own_server(both: Both, target: str) -> None:
    theirs, ours = both.ask(f"/configured{target}")
    assert seen(ours) == seen(theirs)


def test_shell_hooks_see_the_same_environment(both: Both) -> None:
    environments: list[set[str]] = []
    for port in (both.theirs, both.ours):
        _ask(port, "/configured/?cmd=listkeys&namespace=phases", "GET")
        text = (both.folder / "configured" / "env.txt").read_text()
        environments.append(set(re.findall(r"^(\w+)=", text, re.MULTILINE)))
    theirs, ours = environments
    assert ours - TESTED == theirs - TESTED


@pytest.mark.parametrize(
    "query", ["", "&sort=name", "&sort=-name", "&sort=description", "&sort=contact", "&sort=no"]
)
@pytest.mark.parametrize("path", ["/", "/team/", "/team", "/index", "/team/index"])
def test_a_list_has_the_repositories_of_hgwebdirs_in_the_same_order(
    both: Both, path: str, query: str
) -> None:
    theirs, ours = both.ask(f"{path}?style=raw{query}")
    assert (theirs.status, ours.status) == (200, 200)
    assert ours.header(b"Content-Type") == theirs.header(b"Content-Type")
    assert ours.body.split() == theirs.body.split()


@pytest.mark.parametrize("path", ["/", "/team/"])
def test_a_list_as_json_has_the_entries_of_hgwebdirs(both: Both, path: str) -> None:
    theirs, ours = both.ask(f"{path}?style=json&sort=name")
    assert ours.header(b"Content-Type") == theirs.header(b"Content-Type")
    entries = json.loads(ours.body)["entries"]
    assert all(entry.pop("url").startswith("/") for entry in entries)
    assert entries == json.loads(theirs.body)["entries"]


@pytest.mark.parametrize("style", ["atom", "rss"])
def test_lists_are_feeds_too_where_hgwebdir_fails(both: Both, style: str) -> None:
    theirs, ours = both.ask(f"/?style={style}")
    assert (theirs.status, ours.status) == (500, 200)


@pytest.mark.parametrize("name", ["style-paper.css", "hgicon.png", "mercurial.js"])
def test_static_files_are_beside_the_repositories_too(both: Both, name: str) -> None:
    theirs, ours = both.ask(f"/static/{name}")
    assert (ours.status, ours.body) == (200, theirs.body)
    assert ours.header(b"Content-Type") == theirs.header(b"Content-Type")
    head = _ask(both.ours, f"/static/{name}", "HEAD")
    assert head.header(b"Content-Length") == b"%d" % len(ours.body)


@pytest.mark.parametrize(
    "target",
    ["/nothing", "/team/nothing", "/team/nothing/log", "/nothing?cmd=heads", "/json-index"],
)
def test_what_is_no_repository_is_not_found(both: Both, target: str) -> None:
    theirs, ours = both.ask(target)
    assert (theirs.status, ours.status) == (404, 404)


@pytest.mark.parametrize(
    "name", ["nothing", "../map", "..%2fmap", "%2fetc%2fpasswd", "a%00b", "", "."]
)
def test_what_is_no_static_file_is_not_found(both: Both, name: str) -> None:
    assert _ask(both.ours, f"/static/{name}", "GET").status == 404
    assert _ask(both.ours, f"/static/{name}", "HEAD").status == 404


def test_a_static_file_is_only_read(both: Both) -> None:
    assert _ask(both.ours, "/static/style-paper.css", "POST").status == 405


PROTOCOL: Final = {"X-HgProto-1": "0.1 0.2 comp=zstd,zlib,none"}
NULL: Final = "0" * 40
COMMANDS: Final = {
    "heads": "",
    "branchmap": "",
    "known": f"nodes={NULL}",
    "lookup": "key=first",
    "listkeys": "namespace=bookmarks",
    "batch": f"cmds=heads+%3Bknown+nodes%3D{NULL}%3Blistkeys+namespace%3Dphases%3Bhello+",
    "getbundle": f"common={NULL}&bundlecaps=HG20%2Cbundle2%3DHG20&cg=1&listkeys=phases",
    "getbundle&": f"common={NULL}",
    "changegroup": f"roots={NULL}",
    "changegroupsubset": f"bases={NULL}&heads={NULL}",
    "between": f"pairs={NULL}-{NULL}",
    "branches": f"nodes={NULL}",
    "protocaps": "caps=partial-pull",
    "unbundle": "heads=666f726365",
    "pushkey": "namespace=bookmarks&key=new&old=&new=first",
    "clonebundles": "",
}
"""Commands of version 1 with their arguments, as clients send them."""


@pytest.mark.parametrize("protocol", [{}, PROTOCOL], ids=["0.1", "0.2"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_with_arguments_in_headers_is_answered_the_same(
    both: Both, command: str, protocol: Mapping[str, str]
) -> None:
    arguments = COMMANDS[command]
    headers = {**protocol, **({"X-HgArg-1": arguments} if arguments else {})}
    theirs, ours = both.ask(f"/team/one/?cmd={command}", headers=headers)
    assert ours.status_line == theirs.status_line
    if theirs.status == 200:
        assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("command", ["heads", "known", "listkeys", "batch", "getbundle"])
def test_a_command_with_arguments_in_its_body_is_answered_the_same(
    both: Both, command: str
) -> None:
    body = COMMANDS[command].encode()
    headers = {"X-HgArgs-Post": f"{len(body)}", **PROTOCOL}
    theirs, ours = both.ask(
        f"/configured/?cmd={command}", "POST", headers=headers if body else PROTOCOL, body=body
    )
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("unbundle&heads=666f726365", b"no bundle"),
        ("unbundle&heads=666f726365", b"HG10UN\0\0\0\0"),
        ("unbundle&heads=1234", b"HG10UN\0\0\0\0"),
        ("pushkey&namespace=bookmarks&key=gone&old=1&new=", b""),
        ("pushkey&namespace=nothing&key=gone&old=1&new=", b""),
    ],
)
def test_a_push_that_changes_nothing_is_answered_the_same(
    both: Both, command: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/mercurial-0.1"}
    theirs, ours = both.ask(f"/team/one/?cmd={command}", "POST", headers=headers, body=body)
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("target", ["/", "/log", "/raw-file/tip/file", "/rev/nothing"])
def test_a_page_that_is_known_is_not_sent_again(both: Both, target: str) -> None:
    theirs, _ = both.ask(f"/team/one{target}")
    tag = (theirs.header(b"ETag") or b"").decode()
    theirs, ours = both.ask(f"/team/one{target}", headers={"If-None-Match": tag})
    assert ours.status == theirs.status == 304
    assert seen(ours) == seen(theirs)
