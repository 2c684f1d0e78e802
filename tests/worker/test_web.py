from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import threading
import zipfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

import pytest
from support.hg import HgError
from worker.conftest import Repository, hg

from wiredaemon.commands import Permission
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.worker import library, values
from wiredaemon.worker.opening import KeptRepository, RepositoryUnavailable, open_repository
from wiredaemon.worker.web import hgweb_application, version1_commands, web
from wiredaemon.worker.wsgi_environ import environ

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

# Mercurial leaves files and the pipes of shell hooks to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    # The templates of its pages are full of them.
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

RO, RW = Permission.RO, Permission.RW


CLOSED = """
[web]
allow_read = nobody
deny_read = *
allow-pull = false
allow-push = nobody
deny_push = *
push_ssl = true
view = all
"""
"""Settings of a repository that would let nobody do anything, and show everything."""

OPEN = "[web]\nallow-push = *\npush_ssl = false\nview = all\n"

HG_TYPE = (b"Content-Type", b"application/mercurial-0.1")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a request, whole."""

    status: int
    reason: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Pieces:
    """A body that arrives in small pieces."""

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._source.read(min(size, 7))


def request_for(path: bytes = b"/", query: bytes = b"", **fields: Any) -> WebRequest:
    common: dict[str, Any] = {"method": b"GET", "server_name": b"hg.example", "server_port": 80}
    return WebRequest(path_info=path, query=query, **common | fields)


def parts(
    kept: KeptRepository,
    request: WebRequest,
    *,
    permission: Permission = RO,
    user: str | None = None,
    body: bytes = b"",
) -> Generator[Any]:
    context = CallContext(repository=b"", user=user, permission=permission)
    found: Any = web(kept, context, request=request, body=Pieces(body))
    return found  # type: ignore[no-any-return]


class Asker:
    """Sends requests to one repository that is kept open."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.kept = KeptRepository(repository.path)

    def __call__(
        self,
        path: bytes = b"/",
        query: bytes = b"",
        *,
        permission: Permission = RO,
        user: str | None = None,
        body: bytes | None = None,
        **fields: Any,
    ) -> Answer:
        if body is not None:
            fields = {"has_body": True, "content_length": len(body), "method": b"POST"} | fields
        request = request_for(path, query, **fields)
        head, *pieces = parts(
            self.kept, request, permission=permission, user=user, body=body or b""
        )
        assert all(0 < len(piece) <= 65536 for piece in pieces)
        headers = dict(head.pop(b"headers"))
        named = {name.decode(): value for name, value in head.items()}
        return Answer(headers=headers, body=b"".join(pieces), **named)

    def command(self, name: bytes, arguments: bytes = b"", **fields: Any) -> Answer:
        """Run a version 1 command."""
        headers = ((b"X-HgArg-1", arguments), HG_TYPE) if arguments else ()
        return self(query=b"cmd=" + name, headers=headers, **fields)


@pytest.fixture
def ask(history: Repository) -> Iterator[Asker]:
    asker = Asker(history)
    yield asker
    asker.kept.close()


def pushkey_in_batch(history: Repository, name: bytes) -> bytes:
    pairs = b"namespace=bookmarks,key=%s,old=,new=%s" % (name, history.hex(1))
    return b"cmds=pushkey%20" + pairs.replace(b"=", b"%3D").replace(b",", b"%2C")


def push(ask: Asker, history: Repository, name: bytes, permission: Permission) -> Answer:
    arguments = pushkey_in_batch(history, name)
    return ask.command(b"batch", arguments, body=b"", permission=permission)


PUSH_REFUSED = Answer(
    status=401,
    reason=b"push not authorized",
    headers={b"Content-Length": b"22"},
    body=b"0\npush not authorized\n",
)


def test_a_version_1_command_is_answered_in_full(ask: Asker, history: Repository) -> None:
    heads = b"%s %s\n" % (history.hex(7), history.hex(6))
    assert ask.command(b"heads") == Answer(
        status=200,
        reason=b"Script output follows",
        headers={HG_TYPE[0]: HG_TYPE[1], b"Content-Length": b"%d" % len(heads)},
        body=heads,
    )


def test_capabilities_are_those_that_the_daemon_is_told(ask: Asker) -> None:
    assert ask.command(b"capabilities").body == values.capabilities_v1(ask.kept.served())


def test_a_bundle_holds_what_is_served(
    ask: Asker, history: Repository, empty: Repository, tmp_path: Path
) -> None:
    heads = history.hex(7) + b"+" + history.hex(6)
    answer = ask.command(b"getbundle", b"common=" + b"0" * 40 + b"&heads=" + heads)
    bundle = tmp_path / "bundle"
    bundle.write_bytes(b"HG10UN" + zlib.decompress(answer.body))
    empty.hg("unbundle", str(bundle))
    got = empty.hg("log", "-r", "sort(all(), node)", "-T", "{node}\n").split()
    assert got == sorted(history.hex(revision) for revision in range(8))
    assert empty.hg("verify", "--quiet") == b""


def test_the_raw_store_is_streamed(ask: Asker, history: Repository) -> None:
    history.hg("phase", "--draft", "-r", "8")
    body = ask.command(b"stream_out").body
    allowed, _, rest = body.partition(b"\n")
    counts, _, rest = rest.partition(b"\n")
    _files, size = map(int, counts.split())
    assert allowed == b"0"
    assert len(rest) > size > 1000


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_pushed_bundle_is_read_as_it_arrives(
    history: Repository, empty: Repository, tmp_path: Path, *, is_declared: bool
) -> None:
    bundle = tmp_path / "bundle"
    history.hg("bundle", "--all", "--type", "gzip-v1", "--rev", "7", str(bundle))
    data = bundle.read_bytes()
    ask = Asker(empty)
    answer = ask.command(
        b"unbundle",
        b"heads=" + b"force".hex().encode(),
        body=data,
        content_length=len(data) if is_declared else None,
        permission=RW,
    )
    assert (answer.status, answer.body[:2]) == (200, b"1\n")
    assert values.heads(ask.kept.served()) == [history.nodes[7]]
    assert empty.hg("verify", "--quiet") == b""


def test_a_bundle_is_not_taken_without_the_right(empty: Repository) -> None:
    answer = Asker(empty).command(b"unbundle", b"heads=666f726365", body=b"HG10UN\0\0\0\0")
    assert (answer.status, answer.reason) == (401, b"push not authorized")


def test_a_hook_learns_who_pushes(history: Repository, empty: Repository, tmp_path: Path) -> None:
    bundle, seen = tmp_path / "bundle", tmp_path / "seen"
    history.hg("bundle", "--all", "--type", "gzip-v1", str(bundle))
    empty.hgrc.write_text(f"[hooks]\nchangegroup = echo $HG_URL > {seen}\n")
    Asker(empty).command(
        b"unbundle",
        b"heads=666f726365",
        body=bundle.read_bytes(),
        permission=RW,
        user="alice",
        is_secure=True,
        remote_address=b"192.0.2.7",
    )
    assert seen.read_text() == "remote:https:192.0.2.7:alice\n"


@pytest.mark.parametrize("text", ["", CLOSED, OPEN])
def test_a_write_in_a_batch_is_refused_without_the_right(
    ask: Asker, history: Repository, text: str
) -> None:
    history.hgrc.write_text(text)
    assert push(ask, history, b"new", RO) == PUSH_REFUSED
    assert b"new" not in values.listkeys(ask.kept.served(), b"bookmarks")


@pytest.mark.parametrize("text", ["", CLOSED, OPEN])
def test_a_write_in_a_batch_is_done_with_the_right(
    ask: Asker, history: Repository, text: str
) -> None:
    history.hgrc.write_text(text)
    answer = push(ask, history, b"new", RW)
    assert (answer.status, answer.body) == (200, b"1\n")
    assert values.listkeys(ask.kept.served(), b"bookmarks")[b"new"] == history.hex(1)


def test_the_right_is_that_of_each_request(ask: Asker, history: Repository) -> None:
    statuses = [
        push(ask, history, b"new%d" % number, permission).status
        for number, permission in enumerate([RO, RW, RO, RO, RW, RW, RO])
    ]
    assert statuses == [401, 200, 401, 401, 200, 200, 401]


def test_a_repository_that_denies_reading_is_read_when_the_daemon_says_so(
    ask: Asker, history: Repository
) -> None:
    history.hgrc.write_text(CLOSED)
    assert ask.command(b"heads").status == 200
    assert ask(b"/gitweb-summary").status == 200


def test_the_same_holds_for_a_file_that_is_not_trusted(
    ask: Asker, history: Repository, give_away: Callable[[Path], None]
) -> None:
    history.hgrc.write_text(CLOSED)
    give_away(history.hgrc)
    assert ask(b"/gitweb-summary").status == 200
    assert push(ask, history, b"new", RW).status == 200
    assert push(ask, history, b"more", RO) == PUSH_REFUSED


def test_older_spellings_in_a_file_do_not_win(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[web]\nallow_push = *\nallowpull = false\npush_ssl = no\n")
    assert ask.command(b"heads").status == 200
    assert push(ask, history, b"new", RO) == PUSH_REFUSED


def test_the_gates_stay_when_the_application_opens_the_repository_anew(
    history: Repository,
) -> None:
    history.hgrc.write_text(OPEN)
    kept = KeptRepository(history.path)
    application = hgweb_application(kept.served(), b"", RO)
    new = history.commit("new")
    headers = ((b"X-HgArg-1", pushkey_in_batch(history, b"new")), HG_TYPE)
    said: list[str] = []

    def start(status: str, _: object) -> Callable[[bytes], object]:
        said.append(status)
        return io.BytesIO().write

    def run(method: bytes, query: bytes) -> bytes:
        request = request_for(query=query, method=method, headers=headers)
        return b"".join(application(environ(request, user=None, body=io.BytesIO()), start))

    assert run(b"GET", b"cmd=heads").startswith(new.hex().encode())
    assert run(b"POST", b"cmd=batch") == PUSH_REFUSED.body
    assert run(b"GET", b"cmd=known&nodes=" + history.hex(8)) == b"0"
    assert said[1] == "401 push not authorized"
    kept.close()


def test_a_secret_changeset_is_not_shown(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text(OPEN)
    assert ask(b"/rev/" + history.hex(7)).status == 200
    assert ask(b"/rev/" + history.hex(8)).status == 404
    assert history.hex(8)[:12] not in ask(b"/log").body
    assert ask.command(b"known", b"nodes=" + history.hex(8)).body == b"0"


def test_the_view_may_be_narrowed_by_the_repository(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[server]\nview = immutable\n[web]\nview = all\n")
    assert ask(b"/rev/" + history.hex(4)).status == 200
    assert ask(b"/rev/" + history.hex(7)).status == 404


def test_users_may_be_let_see_hidden_changesets(ask: Asker, history: Repository) -> None:
    history.hg("update", "-r", "0")
    node = history.commit("pruned")
    history.hg("update", "-r", "0")
    history.hg("--config", "experimental.evolution=all", "debugobsolete", node.hex())
    page = b"/rev/" + node.hex().encode()
    history.hgrc.write_text("[experimental]\nserver.allow-hidden-access = ann\n")
    assert ask(page, b"access-hidden=1", user="ann").status == 200
    assert ask(page, b"access-hidden=1", user="bob").status == 404
    assert ask(page, b"access-hidden=1").status == 404
    assert ask(page, user="ann").status == 404


def test_a_page_shows_what_the_repository_says_of_itself(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text(
        "[web]\nname = The Project\ndescription = A description\ncontact = Somebody\n"
    )
    answer = ask(b"/gitweb-summary")
    assert (answer.status, answer.reason) == (200, b"Script output follows")
    assert answer.headers[b"Content-Type"] == b"text/html; charset=utf-8"
    contact = "".join(f"&#{ord(letter)};" for letter in "Somebody").encode()
    for text in (b"The Project", b"A description", contact, history.hex(7)[:12]):
        assert text in answer.body


def test_the_style_may_be_chosen(ask: Asker, history: Repository) -> None:
    assert b"style-paper.css" in ask(b"/log").body
    history.hgrc.write_text("[web]\nstyle = gitweb\n")
    assert b"style-gitweb.css" in ask(b"/log").body


def test_a_page_never_shows_where_the_repository_is_on_the_server(
    ask: Asker, history: Repository
) -> None:
    for answer in (ask(b"/log"), ask(b"/gitweb-summary"), ask(b"/rev/0"), ask(b"/nothing")):
        assert bytes(history.folder.parent) not in answer.body
    assert b"<title>history: log</title>" in ask(b"/log").body


def test_links_lead_below_the_place_of_the_repository(ask: Asker) -> None:
    answer = ask(b"/log", script_name=b"/team/repo")
    assert b'href="/team/repo/rev/' in answer.body
    assert b"<title>team/repo: log</title>" in answer.body


def test_a_static_file_is_served(ask: Asker) -> None:
    answer = ask(b"/static/style-paper.css")
    assert answer.headers[b"Content-Type"] == b"text/css"
    assert answer.headers[b"Content-Length"] == b"%d" % len(answer.body)
    assert answer.body.startswith(b"body {")


def test_no_static_file_is_found_outside(ask: Asker) -> None:
    for path in (b"/static/../map", b"/static/../../hgweb/common.py", b"/static/nothing"):
        answer = ask(path)
        assert answer.status == 404, path
        assert b"[templates]" not in answer.body
    assert ask(b"/static/style-paper.css").status == 200


def test_a_file_is_served_raw(ask: Asker) -> None:
    answer = ask(b"/raw-file/4/3")
    assert (answer.status, answer.body) == (200, b"3")
    assert ask(b"/raw-file/4/4\xff").status == 404


def test_an_archive_is_served_where_allowed(ask: Asker, history: Repository) -> None:
    assert ask(b"/archive/4.zip").status == 403
    history.hgrc.write_text("[web]\nallow-archive = zip\n")
    for answer in (ask(b"/archive/4.zip"), ask(query=b"cmd=archive&node=4&type=zip")):
        assert answer.headers[b"Content-Type"] == b"application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            names = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}
        assert {name: names[name] for name in "0123"} == {name: name.encode() for name in "0123"}


def test_an_archive_spooled_is_the_same(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[web]\nallow-archive = gz\n")
    streamed = ask(b"/archive/4.tar.gz").body
    # The same command in a form that we do not recognize.
    spooled = ask(b"/", b"archive/4.tar.gz&cmd=%61rchive&node=4&type=gz").body
    assert zlib.decompress(streamed, 31) == zlib.decompress(spooled, 31)


def test_head_gives_no_body(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[web]\nallow-archive = zip\n")
    for path in (b"/gitweb-summary", b"/static/style-paper.css", b"/archive/4.zip", b"/nothing"):
        got, head = ask(path), ask(path, method=b"HEAD")
        assert head.body == b""
        assert (head.status, head.headers.keys()) == (got.status, got.headers.keys())


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (b"/rev/doesnotexist", 404, b"Not Found"),
        (b"/static/missing", 404, b"Not Found"),
        (b"/nothing", 400, b"method not found"),
    ],
)
def test_what_does_not_exist_is_said_to_be_so(
    ask: Asker, path: bytes, status: int, reason: bytes
) -> None:
    answer = ask(path)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.headers[b"Content-Type"] == b"text/html; charset=utf-8"
    assert b"<html" in answer.body


def test_a_page_that_did_not_change_is_not_sent_again(ask: Asker, history: Repository) -> None:
    tag = ask(b"/log").headers[b"ETag"]
    again = ask(b"/log", headers=((b"If-None-Match", tag),))
    assert again == Answer(status=304, reason=b"Not Modified", headers={}, body=b"")
    changelog = history.folder / ".hg" / "store" / "00changelog.i"
    later = changelog.stat().st_mtime + 10
    history.commit("new")
    os.utime(changelog, (later, later))
    answer = ask(b"/log", headers=((b"If-None-Match", tag),))
    assert answer.status == 200
    assert b"new" in answer.body


def test_changes_are_seen_at_the_next_request(ask: Asker, history: Repository) -> None:
    ask(b"/log")
    new = history.commit("something new")
    assert new.hex().encode()[:12] in ask(b"/log").body
    assert ask.command(b"heads").body.startswith(new.hex().encode())
    history.hgrc.write_text("[web]\ndescription = Something else\n")
    assert b"Something else" in ask(b"/gitweb-summary").body
    history.hgrc.write_text("[hooks]\nprelistkeys = exit 1\n")
    answer = ask.command(b"listkeys", b"namespace=bookmarks")
    assert (answer.status, answer.reason) == (500, b"prelistkeys hook exited with status 1")


def test_aliases_of_revsets_count(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[revsetalias]\nmine = branch(finished)\n")
    body = ask(b"/log", b"rev=reverse(mine)&style=raw").body
    assert history.hex(5) in body
    assert history.hex(4) not in body


def test_the_encoding_of_old_changesets_is_that_of_the_repository(
    ask: Asker, history: Repository
) -> None:
    history.hgrc.write_text("[ui]\nfallbackencoding = koi8-r\n")
    ask(b"/log")
    assert library.to_local(b"\xc1") == "\N{CYRILLIC SMALL LETTER A}".encode()
    history.hgrc.write_text("")
    ask(b"/log")
    assert library.to_local(b"\xc1") == "Á".encode()


def test_the_encoding_of_pages_is_not_that_of_commands(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[web]\nencoding = latin-1\n")
    answer = ask(b"/branches")
    assert answer.headers[b"Content-Type"] == b"text/html; charset=latin-1"
    assert "café".encode("latin-1") in answer.body
    assert library.encoding.encoding == b"utf-8"
    assert "café".encode() in values.branchmap(ask.kept.served())


def test_nothing_of_a_request_is_left(ask: Asker) -> None:
    ui = ask.kept.served().ui
    environment = ui.environ
    ask(b"/log", headers=((b"User-Agent", b"x"),))
    assert ui.environ is environment
    assert ui.configbool(b"ui", b"signal-safe-lock") is True


def large(history: Repository) -> None:
    data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(100_000))
    (history.folder / "large").write_bytes(data)
    history.hg("commit", "-A", "-m", "large", "-u", "test", "-d", "0 0")
    history.hg("phase", "--draft", "-r", "secret()")
    history.hgrc.write_text("[web]\nallow-archive = zip\n")


@pytest.mark.parametrize(
    ("path", "query"),
    [(b"/", b"cmd=stream_out"), (b"/", b"cmd=getbundle"), (b"/archive/tip.zip", b"")],
)
def test_an_answer_may_be_left(ask: Asker, history: Repository, path: bytes, query: bytes) -> None:
    large(history)
    with closing(parts(ask.kept, request_for(path, query))) as answer:
        assert next(answer)[b"status"] == 200
        assert len(next(answer)) > 0
        assert len(next(answer)) > 0
    assert [thread.name for thread in threading.enumerate() if thread.name == "web"] == []
    assert library.encoding.encoding == b"utf-8"
    assert ask.command(b"heads").status == 200
    whole = ask(path, query)
    assert len(whole.body) > 3_200_000


def test_a_broken_repository_is_named(ask: Asker, history: Repository) -> None:
    history.hgrc.write_text("[web\n")
    with pytest.raises(RepositoryUnavailable, match="hgrc:1"):
        ask(b"/log")


class OneByOne(BaseHTTPRequestHandler):
    """Hands each request of a real client to `web`."""

    server: Serving

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(int(self.headers["Content-Length"]))

    def _answer(self, length: int | None) -> None:
        body = io.BytesIO(self.rfile.read(length or 0))
        path, _, query = self.path.partition("?")
        request = WebRequest(
            method=self.command.encode(),
            path_info=unquote_to_bytes(path),
            query=query.encode(),
            headers=tuple((name.encode(), value.encode()) for name, value in self.headers.items()),
            server_name=b"localhost",
            server_port=self.server.server_port,
            has_body=length is not None,
            content_length=length,
        )
        context = CallContext(repository=b"", permission=self.server.permission)
        answer: Any = web(self.server.kept, context, request=request, body=body)
        head = next(answer)
        self.send_response(head[b"status"], head[b"reason"].decode())
        for name, value in head[b"headers"]:
            self.send_header(name.decode(), value.decode())
        self.end_headers()
        for piece in answer:
            self.wfile.write(piece)

    def log_message(self, *_: Any) -> None:
        pass


class Serving(HTTPServer):
    """One repository behind a port."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(("127.0.0.1", 0), OneByOne)
        self.kept = KeptRepository(repository.path)
        self.permission = RO

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def serving(history: Repository) -> Iterator[Serving]:
    with Serving(history) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_real_client_clones_pulls_and_pushes(
    serving: Serving, history: Repository, tmp_path: Path
) -> None:
    clone = Repository(folder=tmp_path / "clone")
    hg("clone", "--quiet", serving.url, str(clone.folder))
    nodes = ("log", "-r", "sort(all(), node)", "-T", "{node}\n")
    assert clone.hg(*nodes) == history.hg(*nodes[:2], "sort(not secret(), node)", *nodes[3:])
    history.hg("update", "7")
    pulled = history.commit("more")
    clone.hg("pull", "--quiet", "--update")
    new = clone.commit("new")
    with pytest.raises(HgError) as caught:
        clone.hg("push")
    assert b"authorization failed" in caught.value.output
    serving.permission = RW
    clone.hg("push", "--quiet")
    assert history.hg("log", "-r", "tip", "-T", "{node} {p1node}").decode() == (
        f"{new.hex()} {pulled.hex()}"
    )
    assert history.hg("verify", "--quiet") == b""
    serving.kept.close()


def test_the_commands_of_version_1_are_given_with_what_they_need(history: Repository) -> None:
    commands = version1_commands(open_repository(history.path))
    assert list(commands) == sorted(commands)
    assert {name for name, needed in commands.items() if needed == b"push"} >= {
        b"pushkey",
        b"unbundle",
    }
    assert {name for name, needed in commands.items() if needed == b"pull"} >= {
        *(b"batch", b"between", b"branches", b"branchmap", b"capabilities", b"changegroup"),
        *(b"changegroupsubset", b"clonebundles", b"getbundle", b"heads", b"hello", b"known"),
        *(b"listkeys", b"lookup", b"stream_out"),
    }


def test_the_commands_of_an_extension_are_among_them(history: Repository, tmp_path: Path) -> None:
    extension = tmp_path / "extension.py"
    extension.write_text(
        "from mercurial import wireprotov1server as server\n"
        "@server.wireprotocommand(b'test-command', permission=b'pull')\n"
        "def command(repo, proto): return b'yes'\n"
    )
    history.hgrc.write_text(f"[extensions]\nextension = {extension}\n")
    try:
        assert version1_commands(open_repository(history.path))[b"test-command"] == b"pull"
        assert Asker(history).command(b"test-command").body == b"yes"
    finally:
        library.wireprotov1server.commands.pop(b"test-command", None)


MISTAKES: Final = {
    "lookup": b"an argument is missing",
    "known&nodes=zz": b"an argument is not hexadecimal",
    "between&pairs=1": b"an argument is not hexadecimal",
    "branches&nodes=x": b"an argument is not hexadecimal",
    "getbundle&heads=zz": b"an argument is not hexadecimal",
    "batch": b"an argument is missing",
    "batch&cmds=x": b"an argument has a value that it cannot have",
    "get_cached_bundle_inline&path=/etc/passwd": b"an argument has a value that it cannot have",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_malformed_argument_of_version_1_is_a_bad_request(
    ask: Asker, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = ask(query=b"cmd=" + command.encode())
    refused_with(answer, MISTAKES[command], capfd.readouterr().err)


MARKERS: Final = {
    b"": b"the data is malformed",
    b"\0abc": b"the data is malformed",
    b"\x01abc": b"an argument has a value that it cannot have",
    b"\x07abc": b"its data has an unknown version",
}
"""Obsolescence markers that are none, and what is wrong with each."""


@pytest.mark.parametrize("markers", MARKERS)
def test_malformed_markers_are_a_bad_request_and_change_nothing(
    history: Repository, markers: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    history.hgrc.write_text("[experimental]\nevolution = all\n")
    new = quote(base64.b85encode(markers)).encode()
    asker = Asker(history)
    with closing(asker.kept):
        query = b"cmd=pushkey&namespace=obsolete&key=dump0&old=&new=" + new
        answer = asker(query=query, body=b"", permission=RW)
        refused_with(answer, MARKERS[markers], capfd.readouterr().err)
        assert asker.command(b"lookup", b"key=tip").body.startswith(b"1 ")
    assert not (history.folder / ".hg/store/obsstore").exists()


PAGES: Final = {
    "/log?rev=" + "(" * 4000: b"it is nested too deeply",
    "/log?rev=" + "not+" * 1000 + "a": b"it is nested too deeply",
    "/log?rev=" + "a::" * 1200: b"it is nested too deeply",
    "/comparison/0/a?context=x": b"an argument has a value that it cannot have",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page[:20])
def test_a_page_that_makes_no_sense_is_a_bad_request(
    ask: Asker, page: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, _, query = page.encode().partition(b"?")
    refused_with(ask(path=path, query=query), PAGES[page], capfd.readouterr().err)


def test_the_top_of_a_graph_is_a_name_or_not_found(ask: Asker) -> None:
    assert ask(path=b"/graph", query=b"graphtop=tip").status == 200
    assert ask(path=b"/graph", query=b"graphtop=((").status == 404


def refused_with(answer: Answer, reason: bytes, logged: str) -> None:
    """See that an answer names the reason, and that little of it is logged."""
    assert (answer.status, answer.reason) == (400, b"Bad Request")
    assert answer.body == b"the request cannot be understood: %s\n" % reason
    assert logged.startswith("a request is refused: ")
    assert len(logged) < 500
    assert logged.count("\n") == 1


def test_a_fault_of_a_hook_is_no_mistake_of_the_request(empty: Repository) -> None:
    hook = empty.folder / "hook.py"
    hook.write_text("def run(ui, repo, **kw):\n    raise ValueError('mine')\n")
    empty.hgrc.write_text(f"[hooks]\nprelistkeys = python:{hook}:run\n")
    asker = Asker(empty)
    with closing(asker.kept):
        answer = asker(query=b"cmd=listkeys&namespace=bookmarks")
    assert (answer.status, answer.reason, answer.body) == (
        500,
        b"internal error",
        b"internal error\n",
    )


def test_a_failure_of_the_machine_may_pass_and_is_no_answer(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(library.webcommands, "log", full)
    with pytest.raises(OSError, match="No space left"):
        ask(b"/log")


def test_what_fails_is_answered_and_the_next_request_too(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise library.error.Abort(b"of Mercurial\nin two lines")

    with monkeypatch.context() as patched:
        patched.setattr(library.wireprotov1server, "dispatch", broken)
        answer = ask.command(b"heads")
        assert (answer.status, answer.reason) == (500, b"of Mercurial")
        assert answer.body == b"of Mercurial\nin two lines\n"
        head = ask.command(b"heads", method=b"HEAD")
        assert (head.status, head.body) == (500, b"")
        assert head.headers == answer.headers
    assert "a request has failed: of Mercurial\n" in capfd.readouterr().err
    assert ask.command(b"heads").status == 200
