"""A running daemon on a real repository: its answers against what `hg` itself says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import cbor2
import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.peers import item, parse_frames, read_answers, request_frames
from support.raw_http import post, trusting
from support.repositories import make_repository, run_hg, write_hgrc
from support.web import API, MEDIA

from wiredaemon.daemon.certificate import development_certificate

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.raw_http import RawResponse

ERAS: Final = pytest.mark.parametrize("era", API)
MAPS: Final = pytest.mark.parametrize("era", ["0003", "0005", "0006"])
LISTENERS: Final = pytest.mark.parametrize("listener", ["http", "https"])

OPEN: Final = "[web]\nallow-push = *\npush_ssl = no\n"
UNAVAILABLE: Final = b"the repository is not available; the server's log says why\n"


@cache
def _nodes(repository: Path, revisions: str) -> tuple[bytes, ...]:
    """Asked once: no test adds a changeset."""
    text = run_hg("log", "-r", revisions, "-T", "{node}\n", folder=repository).decode()
    return tuple(bytes.fromhex(line) for line in text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A daemon that speaks every framing, and the repository it serves."""

    daemon: Daemon
    repository: Path
    tls: ssl.SSLContext

    def hg(self, *arguments: str) -> bytes:
        """What `hg` says."""
        return run_hg(*arguments, folder=self.repository)

    def nodes(self, revisions: str) -> list[bytes]:
        """The nodes of revisions, in hg's order."""
        return list(_nodes(self.repository, revisions))

    def post(
        self,
        era: str,
        name: str,
        arguments: Mapping[bytes, object] | None = None,
        *,
        permission: str = "ro",
        listener: str = "http",
    ) -> RawResponse:
        """The response to one command."""
        body = b"".join(request_frames(era, 1, name.encode(), arguments))
        headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
        tls = self.tls if listener == "https" else None
        with self.daemon.connect(listener, tls=tls) as connection:
            target = f"/api/{API[era]}/{permission}/{name}"
            return connection.exchange(post(target, connection.authority, headers, body))

    def call(
        self,
        era: str,
        name: str,
        arguments: Mapping[bytes, object] | None = None,
        *,
        permission: str = "ro",
        listener: str = "http",
    ) -> object:
        """The result of one command that succeeds: raw bytes in 0002, else a value."""
        response = self.post(era, name, arguments, permission=permission, listener=listener)
        assert response.status_line == b"HTTP/1.1 200 OK"
        assert response.header(b"Content-Type") == MEDIA[era].encode()
        answers = read_answers(era, parse_frames(response.body))
        assert list(answers) == [1]
        assert answers[1].error is None
        content = answers[1].content
        if era == "0002":
            return content
        values = []
        source = BytesIO(content)
        while source.tell() < len(content):
            values.append(cbor2.load(source))
        if era != "0003":
            assert values.pop(0) == {b"status": b"ok"}
        assert len(values) == 1
        return values[0]

    def failure(
        self, era: str, name: str, arguments: Mapping[bytes, object] | None = None
    ) -> tuple[bytes | None, bytes]:
        """The error frame's payload and the response's content of a command that fails."""
        response = self.post(era, name, arguments)
        assert response.status_line == b"HTTP/1.1 200 OK"
        answers = read_answers(era, parse_frames(response.body))
        assert list(answers) == [1]
        return answers[1].error, answers[1].content


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("service-http")
    repository = make_repository(folder / "repository")

    def hg(*arguments: str) -> None:
        run_hg(*arguments, folder=repository)

    def commit(name: str) -> None:
        (repository / name).write_text(name)
        hg("commit", "-A", "-m", name, "-u", "test", "-d", "0 0")

    commit("0")
    commit("1")
    hg("branch", "two words")
    commit("2")
    hg("update", "0")
    commit("3")
    commit("4")
    hg("phase", "--public", "1")
    hg("phase", "--secret", "--force", "4")
    hg("bookmark", "-r", "1", "main")
    hg("bookmark", "-r", "3", "naïve")
    certificate = development_certificate(folder / "tls", now=datetime.now(UTC))
    text = configuration(
        data=folder / "data",
        repository=repository,
        framings={"exp-http-v2-0001": ["0003", "0005", "0002"], "exp-http-v2-0003": ["0006"]},
        listen=("http", "https"),
        more=f'[tls]\ncertificate = "{certificate.certificate}"\n'
        f'private_key = "{certificate.private_key}"\n',
    )
    text = text.replace("enabled = false", "enabled = true")
    text = text.replace("http_v2 = false", "http_v2 = true")
    with Daemon.start(text, folder) as daemon:
        yield Served(daemon=daemon, repository=repository, tls=trusting(certificate.certificate))


@pytest.fixture
def served(running: Served) -> Served:
    """The daemon, its repository without an hgrc of its own."""
    write_hgrc(running.repository, "")
    return running


# --- values ------------------------------------------------------------------------------------


SERVED: Final = "not secret()"


@ERAS
@LISTENERS
def test_heads_are_those_of_what_is_served(served: Served, era: str, listener: str) -> None:
    heads = served.nodes(f"reverse(heads({SERVED}))")
    expected: object = heads
    if era == "0002":
        expected = b" ".join(node.hex().encode() for node in heads) + b"\n"
    assert len(heads) == 2
    assert served.call(era, "heads", listener=listener) == expected


@MAPS
def test_heads_may_be_asked_of_what_is_public(served: Served, era: str) -> None:
    heads = served.nodes("reverse(heads(public()))")
    assert served.call(era, "heads", {b"publiconly": True}) == heads
    assert served.call(era, "heads", {b"publiconly": False}) != heads


@ERAS
@LISTENERS
def test_branchmap_gives_the_heads_of_each_branch(served: Served, era: str, listener: str) -> None:
    branches = {
        name: served.nodes(f"heads(branch('{name}') and {SERVED})")
        for name in ("default", "two words")
    }
    expected: object = {name.encode(): nodes for name, nodes in branches.items()}
    given = served.call(era, "branchmap", listener=listener)
    if era == "0002":
        assert isinstance(given, bytes)
        expected = {
            b" ".join([quote(name).encode(), *(node.hex().encode() for node in nodes)])
            for name, nodes in branches.items()
        }
        given = set(given.split(b"\n"))
    assert given == expected


@ERAS
@LISTENERS
def test_known_says_of_each_node_whether_it_is_served(
    served: Served, era: str, listener: str
) -> None:
    nodes = [*served.nodes("2+0"), b"\x11" * 20, *served.nodes("4"), *served.nodes("3")]
    given: object = nodes
    if era == "0002":
        given = b" ".join(node.hex().encode() for node in nodes)
    assert served.call(era, "known", {b"nodes": given}, listener=listener) == b"11001"
    none: object = b"" if era == "0002" else []
    assert served.call(era, "known", {b"nodes": none}) == b""


def keys_of(served: Served, era: str, namespace: bytes, listener: str = "http") -> object:
    """The keys of a namespace, as a map in every era."""
    given = served.call(era, "listkeys", {b"namespace": namespace}, listener=listener)
    if era != "0002":
        return given
    assert isinstance(given, bytes)
    lines = given.split(b"\n") if given else []
    assert lines == sorted(lines)
    return dict(line.split(b"\t") for line in lines)


@ERAS
@LISTENERS
def test_listkeys_gives_bookmarks_phases_and_namespaces(
    served: Served, era: str, listener: str
) -> None:
    one, three = (node.hex().encode() for node in served.nodes("1+3"))
    roots = {node.hex().encode(): b"1" for node in served.nodes("roots(draft())")}
    bookmarks = keys_of(served, era, b"bookmarks", listener)
    assert isinstance(bookmarks, dict)
    assert bookmarks.items() >= {b"main": one, "naïve".encode(): three}.items()
    assert keys_of(served, era, b"phases", listener) == roots | {b"publishing": b"True"}
    assert keys_of(served, era, b"namespaces", listener) == {
        b"bookmarks": b"",
        b"namespaces": b"",
        b"phases": b"",
    }
    assert keys_of(served, era, b"nothing", listener) == {}


@ERAS
@LISTENERS
@pytest.mark.parametrize("key", ["main", "naïve", "tip", "two words", "0", "default"])
def test_lookup_resolves_what_hg_resolves(
    served: Served, era: str, listener: str, key: str
) -> None:
    expected = served.nodes({"tip": f"max({SERVED})", "default": "3"}.get(key, f"'{key}'"))[0]
    given = served.call(era, "lookup", {b"key": key.encode()}, listener=listener)
    assert given == (b"1 " + expected.hex().encode() + b"\n" if era == "0002" else expected)
    prefix = expected.hex()[:12].encode()
    assert served.call(era, "lookup", {b"key": prefix}, listener=listener) == given


@MAPS
@LISTENERS
def test_capabilities_are_what_the_handshake_says(served: Served, era: str, listener: str) -> None:
    descriptor = served.call(era, "capabilities", listener=listener)
    assert isinstance(descriptor, dict)
    assert {b"heads", b"known", b"listkeys", b"lookup", b"pushkey", b"customreadonly"} <= set(
        descriptor[b"commands"]
    )
    assert descriptor[b"commands"][b"pushkey"][b"permissions"] == [b"push"]
    media = (
        [MEDIA["0006"].encode()]
        if era == "0006"
        else [MEDIA[framing].encode() for framing in ("0003", "0005", "0002")]
    )
    assert descriptor[b"framingmediatypes"] == media
    tls = served.tls if listener == "https" else None
    with served.daemon.connect(listener, tls=tls) as connection:
        response = connection.exchange(
            f"GET /?cmd=capabilities HTTP/1.1\r\nHost: x\r\nX-HgProto-1: cbor\r\n"
            f"X-HgUpgrade-1: {API[era]}\r\n\r\n".encode()
        )
        plain = connection.exchange(b"GET /?cmd=capabilities HTTP/1.1\r\nHost: x\r\n\r\n")
    content = cbor2.loads(response.body)
    assert response.status_line == b"HTTP/1.1 200 OK"
    assert list(content) == [b"apibase", b"apis", b"v1capabilities"]
    assert content[b"apis"] == {API[era].encode(): descriptor}
    assert plain.status_line == b"HTTP/1.1 200 Script output follows"
    assert content[b"v1capabilities"] == plain.body
    # Version 1 sorts its tokens since 0003.
    assert plain.body.split(b" ") == sorted(plain.body.split(b" "))


def test_the_capabilities_of_0002_are_tokens(served: Served) -> None:
    given = served.call("0002", "capabilities")
    assert isinstance(given, bytes)
    tokens = given.split(b" ")
    assert {b"lookup", b"branchmap", b"known", b"pushkey"} <= set(tokens)
    assert not {b"batch", b"changegroupsubset"} & set(tokens)
    assert served.call("0002", "hello") == b"capabilities: " + given + b"\n"


# --- failures ----------------------------------------------------------------------------------


@ERAS
def test_a_failed_lookup_is_answered_in_the_form_of_its_era(served: Served, era: str) -> None:
    text = b"unknown revision 'zz'"
    error_map = {b"status": b"error", b"error": {b"message": text}}
    frame_map = {b"type": b"server", b"message": [{b"msg": text}]}
    assert (
        served.failure(era, "lookup", {b"key": b"zz"})
        == {
            "0002": (None, b"0 " + text + b"\n"),
            "0003": (text, b""),
            "0005": (None, item(error_map, canonical=True)),
            "0006": (item(frame_map, canonical=False), b""),
        }[era]
    )


@ERAS
def test_a_secret_changeset_is_not_found(served: Served, era: str) -> None:
    secret = served.nodes("4")[0].hex().encode()
    error, content = served.failure(era, "lookup", {b"key": secret})
    assert (error or content).find(b"unknown revision") >= 0 or b"hidden" in (error or content)


@ERAS
@pytest.mark.parametrize(("name", "missing"), [("listkeys", b"namespace"), ("lookup", b"key")])
def test_a_missing_argument_is_named(served: Served, era: str, name: str, missing: bytes) -> None:
    text = b"missing required arguments: " + missing
    error_map = {b"status": b"error", b"error": {b"message": text}}
    old = (None, b"0 " + text + b"\n") if name == "lookup" else (text, b"")
    assert (
        served.failure(era, name)
        == {
            "0002": old,
            "0003": (text, b""),
            "0005": (None, item(error_map, canonical=True)),
            "0006": (None, item(error_map, canonical=False)),
        }[era]
    )


# --- who may write -----------------------------------------------------------------------------


def push_arguments(served: Served, key: bytes) -> dict[bytes, object]:
    """Arguments that make a bookmark."""
    node = served.nodes("1")[0].hex().encode()
    return {b"namespace": b"bookmarks", b"key": key, b"old": b"", b"new": node}


@ERAS
def test_nobody_writes_over_http_by_default(served: Served, era: str) -> None:
    write_hgrc(served.repository, "[web]\nallow-push = *\n")
    response = served.post(era, "pushkey", push_arguments(served, b"no"), permission="rw")
    assert response.status_line == b"HTTP/1.1 403 ssl required"
    assert response.headers[2:] == [(b"Content-Length", b"17")]
    assert response.body == b"permission denied"
    assert b"no " not in served.hg("bookmarks")


@ERAS
def test_nobody_writes_who_is_not_allowed_to(served: Served, era: str) -> None:
    for text in ("", "[web]\nallow-push = ann\n", "[web]\nallow-push = *\ndeny_push = *\n"):
        write_hgrc(served.repository, text)
        response = served.post(
            era, "pushkey", push_arguments(served, b"no"), permission="rw", listener="https"
        )
        assert response.status_line == b"HTTP/1.1 401 push not authorized"
        assert response.body == b"permission denied"


@ERAS
@pytest.mark.parametrize("listener", ["http", "https"])
def test_a_push_command_below_ro_is_forbidden(served: Served, era: str, listener: str) -> None:
    write_hgrc(served.repository, OPEN)
    arguments = push_arguments(served, b"no")
    response = served.post(era, "pushkey", arguments, listener=listener)
    assert response.status_line == b"HTTP/1.1 403 Forbidden"
    assert response.body == b"insufficient permissions to execute command: pushkey"


@ERAS
@pytest.mark.parametrize(
    ("listener", "hgrc"), [("https", "[web]\nallow-push = *\n"), ("http", OPEN)]
)
def test_pushkey_moves_a_bookmark_for_whoever_may(
    served: Served, era: str, listener: str, hgrc: str
) -> None:
    write_hgrc(served.repository, hgrc)
    name = f"pushed-{era}-{listener}".encode()
    arguments = push_arguments(served, name)
    moved: tuple[object, object] = (b"1\n", b"0\n") if era == "0002" else (True, False)

    def push(old: bytes, new: bytes) -> object:
        arguments.update({b"old": old, b"new": new})
        return served.call(era, "pushkey", arguments, permission="rw", listener=listener)

    one, two = (node.hex().encode() for node in served.nodes("1+2"))
    assert push(b"", one) == moved[0]
    template = ("log", "-r", name.decode(), "-T", "{node}")
    assert served.hg(*template) == one
    assert push(b"\x31" * 40, two) == moved[1]
    assert push(one, two) == moved[0]
    assert served.hg(*template) == two
    assert push(two, b"") == moved[0]
    assert name not in served.hg("bookmarks")


# --- who may read ------------------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("deny_read = *", "read not authorized"),
        ("deny_read = ann, bob", "read not authorized"),
        ("allow_read = ann", "read not authorized"),
        ("allow-pull = no", "pull not authorized"),
        ("allowpull = 0", "pull not authorized"),
    ],
)
def test_the_hgrc_says_who_may_read(served: Served, era: str, line: str, message: str) -> None:
    assert served.post(era, "heads").status == 200
    write_hgrc(served.repository, f"[web]\n{line}\n")
    response = served.post(era, "heads")
    assert response.status_line == b"HTTP/1.1 401 " + message.encode()
    assert response.headers[2:] == [(b"Content-Length", b"17")]
    assert response.body == b"permission denied"
    write_hgrc(served.repository, "[web]\nallow_read = *\n")
    assert served.post(era, "heads").status == 200


def test_the_hgrc_turns_the_apis_off_and_on(served: Served) -> None:
    def get(target: bytes) -> RawResponse:
        with served.daemon.connect() as connection:
            return connection.exchange(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)

    write_hgrc(served.repository, "[experimental]\nweb.apiserver = no\n")
    assert get(b"/api").status_line == b"HTTP/1.1 400 no such method: api"
    write_hgrc(served.repository, "[experimental]\nweb.api.http-v2 = no\n")
    assert get(b"/api").body.endswith(b"(no available APIs)\n")
    assert get(b"/api/exp-http-v2-0003").body == b"API exp-http-v2-0003 not enabled\n"
    write_hgrc(served.repository, "[experimental]\nweb.api.debugreflect = yes\n")
    assert served.post("0003", "debugreflect").status == 200
    write_hgrc(served.repository, "")
    assert served.post("0003", "debugreflect").body == b"debugreflect service not available"
    assert get(b"/api/exp-http-v2-0003").body == b"HTTP version 2 API handler"


# --- what is broken and mended -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("hgrc", "reason"),
    [
        ("[web\nfoo\n", r"hgrc:1: "),
        ("[web]\npush_ssl = perhaps\n", r"hgrc:2: web\.push_ssl is not a boolean \('perhaps'\)"),
        (
            "[experimental]\n\nweb.apiserver = perhaps\n",
            r"hgrc:3: experimental\.web\.apiserver is not a boolean \('perhaps'\)",
        ),
    ],
)
def test_a_broken_hgrc_is_told_by_the_log_until_it_is_mended(
    served: Served, hgrc: str, reason: str
) -> None:
    seen = served.daemon.lines_logged()
    write_hgrc(served.repository, hgrc)
    for _ in range(2):
        response = served.post("0006", "heads")
        assert response.status_line == b"HTTP/1.1 503 " + UNAVAILABLE.strip()
        assert response.body == UNAVAILABLE
    served.daemon.wait_for_log(rf"repository .* is not available: .*/\.hg/{reason}", after=seen)
    write_hgrc(served.repository, "")
    assert served.post("0006", "heads").status == 200
    served.daemon.wait_for_log(r"repository .* is available again", after=seen)


def test_a_missing_repository_is_told_by_the_log_until_it_is_there(served: Served) -> None:
    seen = served.daemon.lines_logged()
    there, gone = served.repository, served.repository.with_name("gone")
    there.rename(gone)
    try:
        response = served.post("0003", "heads")
    finally:
        gone.rename(there)
    assert response.status_line == b"HTTP/1.1 503 " + UNAVAILABLE.strip()
    assert response.body == UNAVAILABLE
    served.daemon.wait_for_log(
        rf"repository {there} is not available: .*no Mercurial repository here", after=seen
    )
    assert served.post("0003", "heads").status == 200


def test_a_daemon_starts_without_its_repository(tmp_path: Path) -> None:
    repository = tmp_path / "later"
    text = (
        configuration(
            data=tmp_path / "data", repository=repository, framings={"exp-http-v2-0003": ["0006"]}
        )
        .replace("enabled = false", "enabled = true")
        .replace("http_v2 = false", "http_v2 = true")
    )
    with Daemon.start(text, tmp_path) as daemon:
        served = Served(daemon=daemon, repository=repository, tls=trusting(None))
        answer = served.post("0006", "heads")
        assert (answer.status, UNAVAILABLE.strip() in answer.body) == (200, True)
        daemon.wait_for_log(rf"repository {repository} is not available")
        # What needs no repository is there, and nothing is told of one.
        described: Any = served.call("0006", "capabilities")
        assert b"heads" in described[b"commands"]
        for page in (b"/", b"/?cmd=heads", b"/?cmd=capabilities", b"/log"):
            head = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % page
            with daemon.connect() as connection:
                assert connection.exchange(head).body == UNAVAILABLE
        make_repository(repository)
        assert served.call("0006", "heads") == [bytes(20)]


def test_nothing_of_this_left_a_traceback(running: Served) -> None:
    assert "Traceback" not in running.daemon.log


def test_requests_are_logged_where_that_is_asked_for(tmp_path: Path) -> None:
    text = configuration(
        data=tmp_path / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        more="[log]\nrequests = true",
    )
    with Daemon.start(text, tmp_path) as daemon, daemon.connect() as connection:
        connection.exchange(b"GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n")
        daemon.wait_for_log(r'"GET /nosuch HTTP/1\.1" 400')
        # A token in a target is a mistake, and still nobody's who reads logs.
        connection.exchange(b"GET /?token=wd_0123abcd_se-cr_et&b HTTP/1.1\r\nHost: x\r\n\r\n")
        daemon.wait_for_log(r'"GET /\?token=wd_0123abcd_\.\.\.&b HTTP/1\.1" ')
