"""A running daemon that keeps its answers: what it gives once its workers stand still."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers, signalled
from support.configuration import configuration
from support.daemon import Daemon
from support.objects import object_store
from support.own_names import own_names
from support.raw_http import post
from support.repositories import run_hg, wait_until_settled, write_hgrc
from support.served import Served

from wiredaemon.protocol import ClientConnection, RequestFailed, ResponseDataReceived
from wiredaemon.protocol.objects import response_reader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"
HEADERS: Final = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
TARGET: Final = "/api/exp-http-v2-0003/ro/"
ENCODINGS: Final = ((), (b"identity",), (b"zlib",), (b"zstd-8mb", b"zlib"))
KEPT: Final = r"a response of \d+ bytes is kept"
UPLOADED: Final = r"an answer of \d+ bytes was uploaded"
OPEN: Final = "[web]\npush_ssl = false\nallow-push = ['*']\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three changesets of a file of 300 KiB."""
    folder = tmp_path_factory.mktemp("template") / "repository"
    run_hg("init", str(folder), folder=folder.parent)
    for number in range(3):
        lines = (f"{number * 7919 + line * 104729 % 1_000_003}\n" for line in range(45_000))
        (folder / "file").write_text("".join(lines), encoding="ascii")
        run_hg("commit", "-A", "-m", str(number), "-u", "test", "-d", "0 0", folder=folder)
    run_hg("phase", "--draft", "--force", "-r", "all()", folder=folder)
    write_hgrc(folder, "[phases]\npublish = no\n")
    return folder


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "repository"))


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """A repository and the daemon that serves it."""

    daemon: Daemon
    folder: Path
    """The daemon's."""
    repository: Path
    path: str = ""
    """Where it is served, without a `/` at the end."""

    @property
    def nodes(self) -> list[bytes]:
        return nodes_of(self.repository)

    def kept(self) -> list[str]:
        """Return the names of the answers that are kept, of all repositories."""
        found = (file.name for file in (self.folder / "data" / "cache" / "responses").iterdir())
        return [name for name in found if name != "lock"]


@contextmanager
def started(folder: Path, repository: Path, more: str = OPEN) -> Iterator[Hosted]:
    """Serve one repository by a daemon of its own."""
    text = configuration(
        data=folder / "data",
        repository=repository,
        framings={"exp-http-v2-0003": ["0006"]},
        listen=["http", "framed"],
        load=(),
        more=more,
    )
    for switch in ("enabled", "http_v2"):
        text = text.replace(f"{switch} = false", f"{switch} = true")
    with Daemon.start(text, folder) as daemon:
        yield Hosted(daemon=daemon, folder=folder, repository=repository)


@pytest.fixture(scope="module")
def served(
    template: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Served]:
    """A daemon with repositories, one for each test."""
    folder = tmp_path_factory.mktemp("served")
    names = own_names(request, "hosted").values()
    folders = {name: Path(shutil.copytree(template, folder / name)) for name in names}
    with Served.start(folders, folder, web="push_ssl = false\nallow-push = ['*']") as running:
        yield running


@pytest.fixture
def hosted(served: Served, request: pytest.FixtureRequest) -> Hosted:
    """One of the repositories, which no other test uses."""
    name = own_names(request, "hosted")[request.node.nodeid]
    repository = served.folders[name]
    return Hosted(
        daemon=served.daemon, folder=repository.parent, repository=repository, path=f"/{name}"
    )


def nodes_of(repository: Path) -> list[bytes]:
    text = run_hg("log", "-r", "all()", "-T", "{node}\n", folder=repository).decode()
    return [bytes.fromhex(line) for line in text.split()]


def filesdata(*nodes: bytes) -> dict[bytes, object]:
    revisions = [{b"type": b"changesetexplicit", b"nodes": list(nodes)}]
    return {b"revisions": revisions, b"fields": {b"parents", b"revision"}}


def ask(
    hosted: Hosted,
    arguments: Mapping[bytes, Any],
    encodings: tuple[bytes, ...] = (),
    *,
    command: bytes = b"filesdata",
    redirect: Mapping[bytes, Any] | None = None,
) -> Any:
    """Give all objects of an answer, the text of an error frame, or the location of a redirect."""
    client = ClientConnection(content_encodings=encodings)
    given: Any = None if redirect is None else dict(redirect)
    client.send_command(command, arguments, redirect=given)
    body = b"".join(header + payload for header, payload in client.data_to_send())
    with hosted.daemon.connect() as connection:
        target = f"{hosted.path}{TARGET}{command.decode()}"
        response = connection.exchange(post(target, connection.authority, HEADERS, body))
    assert response.status == 200, response
    reader = response_reader(DIALECTS["0006"], Limits())
    objects: list[object] = []
    events = client.receive_data(response.body)
    while client.pending:
        events += client.receive_data(b"")
    for event in events:
        if isinstance(event, RequestFailed):
            return event.message
        assert isinstance(event, ResponseDataReceived), event
        objects += reader.receive_event(event)
    assert client.active == frozenset()
    return objects if reader.location is None else reader.location


def workers_of(daemon: Daemon) -> list[int]:
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    return [int(pid) for pid in children.read_text(encoding="ascii").split()]


@contextmanager
def standing_still(daemon: Daemon) -> Iterator[None]:
    """Let no worker do anything."""
    workers = workers_of(daemon)
    assert workers
    for pid in workers:
        signalled.stop(pid)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def keeping(hosted: Hosted) -> Iterator[None]:
    """Wait until an answer is kept that is asked for meanwhile."""
    wait_until_settled(hosted.repository)
    after = hosted.daemon.lines_logged()
    yield
    hosted.daemon.wait_for_log(KEPT, after=after)


@pytest.mark.parametrize("encodings", ENCODINGS, ids=lambda names: b",".join(names).decode())
def test_the_second_answer_needs_no_worker_and_is_the_same(
    hosted: Hosted, encodings: tuple[bytes, ...]
) -> None:
    arguments = filesdata(*hosted.nodes)
    before = hosted.kept()
    with keeping(hosted):
        first = ask(hosted, arguments, encodings)
    assert first[0] == {b"totalpaths": 1, b"totalitems": 3}
    with standing_still(hosted.daemon):
        assert ask(hosted, arguments, encodings) == first
        assert ask(hosted, arguments, encodings) == first
    assert len(hosted.kept()) == len(before) + 1


@pytest.mark.parametrize("command", [b"filedata", b"manifestdata"])
def test_the_other_cacheable_commands_are_kept_too(hosted: Hosted, command: bytes) -> None:
    repository = hosted.repository
    manifest = run_hg("log", "-r", "tip", "-T", "{manifest % '{node}'}", folder=repository).decode()
    file = run_hg("debugdata", "-m", manifest, folder=repository).split(b"\0")[1][:40].decode()
    arguments: dict[bytes, object] = {b"fields": {b"parents", b"revision"}}
    if command == b"filedata":
        arguments |= {b"path": b"file", b"nodes": [bytes.fromhex(file)]}
    else:
        arguments |= {b"tree": b"", b"nodes": [bytes.fromhex(manifest)]}
    with keeping(hosted):
        first = ask(hosted, arguments, (b"zlib",), command=command)
    assert first[0] == {b"totalitems": 1}
    with standing_still(hosted.daemon):
        assert ask(hosted, arguments, (b"zlib",), command=command) == first


def test_raw_connections_and_restarts_find_what_http_was_answered(
    tmp_path: Path, repository: Path
) -> None:
    arguments = filesdata(*nodes_of(repository))
    with started(tmp_path, repository) as hosted, keeping(hosted):
        content = ask(hosted, arguments)
    with started(tmp_path, repository) as hosted:
        ask(hosted, {}, command=b"heads")
        with standing_still(hosted.daemon), hosted.daemon.connect("framed") as connection:
            frames = peers.request_frames("0006", 1, b"filesdata", arguments)
            connection.send(b"".join(frames))
            client = ClientConnection()
            client.send_command(b"filesdata", {})
            reader = response_reader(DIALECTS["0006"], Limits())
            objects: list[object] = []
            while client.active:
                for event in client.receive_data(connection.receive_some()):
                    assert isinstance(event, ResponseDataReceived)
                    objects += reader.receive_event(event)
            assert objects == content
            assert ask(hosted, arguments) == content


def test_a_push_makes_another_answer_and_the_same_request_is_recorded_again(
    hosted: Hosted, tmp_path: Path
) -> None:
    known = hosted.nodes
    before = hosted.kept()
    clone = tmp_path / "clone"
    run_hg("clone", str(hosted.repository), str(clone), folder=tmp_path)
    (clone / "file").write_text("pushed\n", encoding="ascii")
    run_hg("commit", "-m", "pushed", "-u", "test", "-d", "0 0", folder=clone)
    (new,) = set(nodes_of(clone)) - set(known)
    heads = {b"type": b"changesetdagrange", b"roots": [], b"heads": [known[-1]]}
    arguments = {b"revisions": [heads], b"fields": {b"revision"}}
    with keeping(hosted):
        first = ask(hosted, arguments)
    assert b"unknown revision" in ask(hosted, filesdata(new))
    run_hg("push", f"http://127.0.0.1:{hosted.daemon.port()}{hosted.path}", folder=clone)
    with keeping(hosted):
        assert ask(hosted, arguments) == first
    assert len(hosted.kept()) == len(before) + 2
    # No test leaves an answer that is kept later: the next one would take that for its own.
    with keeping(hosted):
        assert ask(hosted, filesdata(new))[0] == {b"totalpaths": 1, b"totalitems": 1}


@pytest.mark.parametrize(
    "change",
    [
        ("phase", "--force", "--secret", "-r", "tip"),
        ("--config", "extensions.strip=", "strip", "--no-backup", "-r", "tip"),
        ("--config", "experimental.evolution=all", "debugobsolete"),
    ],
    ids=["secret", "strip", "obsolete"],
)
def test_what_is_served_no_more_is_not_served_from_the_cache(
    hosted: Hosted, change: tuple[str, ...]
) -> None:
    repository = hosted.repository
    run_hg("update", "--clean", "-r", "0", folder=repository)
    tip = hosted.nodes[-1]
    if change[-1] == "debugobsolete":
        write_hgrc(repository, "[phases]\npublish = no\n[experimental]\nevolution = all\n")
        change = (*change, tip.hex())
    arguments = filesdata(tip)
    with keeping(hosted):
        assert ask(hosted, arguments)[0] == {b"totalpaths": 1, b"totalitems": 1}
    run_hg(*change, folder=repository)
    refused = ask(hosted, arguments)
    assert isinstance(refused, bytes), refused
    assert tip.hex().encode() in refused or b"hidden" in refused


def test_what_was_censored_is_not_served_from_the_cache(hosted: Hosted) -> None:
    first = hosted.nodes[0]
    with keeping(hosted):
        before = ask(hosted, filesdata(first))
    censor = ("--config", "extensions.censor=", "censor", "-r", "0", "file")
    run_hg(*censor, folder=hosted.repository)
    with keeping(hosted):
        assert before[-1] not in ask(hosted, filesdata(first))


def test_who_may_not_read_gets_nothing_from_the_cache(hosted: Hosted) -> None:
    arguments = filesdata(*hosted.nodes)
    with keeping(hosted):
        ask(hosted, arguments)
    write_hgrc(hosted.repository, "[phases]\npublish = no\n[web]\nallow_read = ann\n")
    with hosted.daemon.connect() as connection:
        body = b"".join(peers.request_frames("0006", 1, b"filesdata", arguments))
        target = f"{hosted.path}{TARGET}filesdata"
        response = connection.exchange(post(target, connection.authority, HEADERS, body))
    assert response.status == 401


def test_a_cache_that_is_off_makes_no_folder(tmp_path: Path, repository: Path) -> None:
    arguments = filesdata(*nodes_of(repository))
    with started(tmp_path, repository, "[limits]\ncache_size = 0\ncache_clones = 0\n") as hosted:
        assert ask(hosted, arguments) == ask(hosted, arguments)
    assert not (tmp_path / "data" / "cache").exists()


def test_clients_that_follow_are_redirected(tmp_path: Path, repository: Path) -> None:
    arguments = filesdata(*nodes_of(repository))
    redirect = {b"targets": [b"here"], b"hashes": [b"sha256", b"sha1"]}
    with object_store() as store:
        more = (
            f"[[redirect.targets]]\nname = 'here'\nurl = '{store.url}'\n"
            f"upload = 'put:{store.url}'\nmin_size = 1000\n"
        )
        with started(tmp_path, repository, more) as hosted:
            described = ask(hosted, {}, command=b"capabilities")[0]
            assert described[b"redirect"] == {
                b"targets": [
                    {b"name": b"here", b"protocol": b"http", b"uris": [store.url.encode()]}
                ],
                b"hashes": [b"sha256", b"sha1"],
            }
            first = ask(hosted, arguments, (b"zlib",))
            hosted.daemon.wait_for_log(UPLOADED)
            with standing_still(hosted.daemon):
                location = ask(hosted, arguments, (b"zlib",), redirect=redirect)
                assert ask(hosted, arguments, (b"zlib",), redirect={}) == first
            ((path, content),) = store.objects.items()
            assert location[b"url"] == store.url.encode() + Path(path).name.encode()
            assert location[b"size"] == len(content)
            # What is there are the objects alone, one behind the other.
            assert content == b"".join(peers.item(one, canonical=False) for one in first)


def test_without_targets_nothing_is_said_of_redirects(hosted: Hosted) -> None:
    assert b"redirect" not in ask(hosted, {}, command=b"capabilities")[0]
