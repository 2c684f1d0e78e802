"""A running daemon on raw sockets: TCP, TLS and a Unix socket, and what its peers do to it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support import peers
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.environment import LOOPBACK
from support.raw import refusal, result
from support.raw_http import SOCKET_DEADLINE, RawConnection, trusting
from support.repositories import make_repository, run_hg, write_hgrc
from support.web import MEDIA

from wiredaemon.daemon.certificate import development_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

COMMANDS: Final = """
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import Permission, command

log = Logger()


@command("talk", permission=Permission.RO)
def talk(context):
    for number in range(2):
        context.write_text("at %s\\n", str(number))
        context.progress("numbers", number, 2)
        yield number


@command("write", permission=Permission.RW)
def write(context):
    return b"written"


@command("count", permission=Permission.RO, has_data=True)
async def count(context):
    return sum([len(piece) async for piece in context.data])


@command("endless", permission=Permission.RO)
def endless(context):
    try:
        while True:
            yield bytes(32768)
    finally:
        log.info("endless ended")


@command("bulk", permission=Permission.RO)
def bulk(context):
    for number in range(60 * 32):
        yield number.to_bytes(4, "big") * 8192


@command("slow", permission=Permission.RO)
async def slow(context):
    log.info("slow waits")
    try:
        await Deferred()
    finally:
        log.info("slow ended")
"""
DIALECTS: Final = ("0002", "0003", "0005", "0006")
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


class _UnixConnection(RawConnection):
    """The same on a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.authority = LOOPBACK
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SOCKET_DEADLINE)
        self.socket.connect(str(path))
        self._unread = bytearray()


@cache
def _heads(repository: Path) -> tuple[bytes, ...]:
    """Asked once: no test adds a changeset."""
    text = run_hg("heads", "-T", "{node}\n", folder=repository).decode()
    return tuple(bytes.fromhex(line) for line in text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A daemon with raw listeners, and the repositories it serves."""

    daemon: Daemon
    repository: Path
    other: Path
    unix: Path
    authority: Path

    def plain(self, dialect: str = "0006") -> Peer:
        """Connect to the listener that speaks a dialect; they are logged in this order."""
        port = self.daemon.ports("framed")[DIALECTS.index(dialect)]
        return Peer(RawConnection(port), dialect)

    def secure(self, *offered: str, listener: str = "0006", dialect: str | None = None) -> Peer:
        """Connect with TLS.

        Args:
            offered: Protocols, for ALPN to choose from.
            listener: Dialect of the listener: 0006 or 0003.
            dialect: That is spoken, if it is not the listener's.
        """
        context = trusting(self.authority)
        if offered:
            context.set_alpn_protocols(list(offered))
        port = self.daemon.ports("framed_tls")[("0006", "0003").index(listener)]
        return Peer(RawConnection(port, tls=context), dialect or listener)

    def local(self) -> Peer:
        """Connect to the Unix socket."""
        return Peer(_UnixConnection(self.unix))

    def descriptors(self) -> int:
        """How many sockets the daemon's process holds."""
        folder = Path(f"/proc/{self.daemon.pid}/fd")
        sockets = 0
        for entry in folder.iterdir():
            try:
                sockets += os.readlink(entry).startswith("socket:")  # noqa: PTH115 no path
            except FileNotFoundError:
                continue  # closed meanwhile
        return sockets

    def heads(self, repository: Path | None = None) -> list[bytes]:
        """What hg says."""
        return list(_heads(repository or self.repository))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("framed")
    repositories = []
    for name in ("repository", "other"):
        repository = make_repository(folder / name)
        (repository / name).write_text(name)
        run_hg("commit", "-A", "-m", name, "-u", "test", "-d", "0 0", folder=repository)
        repositories.append(repository)
    repository, other = repositories
    commands = folder / "framed_commands.py"
    commands.write_text(COMMANDS, encoding="utf-8")
    certificate = development_certificate(folder / "tls", now=datetime.now(UTC))
    unix = folder / "socket"
    plain = [f"{name} {ANY_PORT}" if name != "0006" else ANY_PORT for name in DIALECTS]
    quoted = ", ".join(f'"{each}"' for each in [*plain, f"unix:{unix}"])
    text = f"""
[data]
folder = "{folder / "data"}"
[listen]
framed = [{quoted}]
framed_tls = ["{ANY_PORT}", "0003 {ANY_PORT}"]
[tls]
certificate = "{certificate.certificate}"
private_key = "{certificate.private_key}"
[web]
allow-push = ["*"]
[paths]
"/" = "{repository}"
"/team/other" = "{other}"
[commands]
load = ["{commands}"]
[limits]
drained_body = 100000
"""
    with Daemon.start(text, folder) as daemon:
        yield Served(
            daemon=daemon,
            repository=repository,
            other=other,
            unix=unix,
            authority=certificate.certificate,
        )


def request(
    dialect: str, request_id: int, name: bytes, data: bytes | None = None, **extra: object
) -> bytes:
    """The frames of one request; ``extra`` are further keys of its map."""
    if not extra:
        return b"".join(peers.request_frames(dialect, request_id, name, data=data))
    keys = {key.encode(): value for key, value in extra.items()}
    content = peers.item({b"name": name, **keys}, canonical=dialect != "0006")
    return b"".join(peers.map_frames(dialect, request_id, content))


class Peer:
    """A client of one connection, which remembers all frames of it: streams live as long."""

    def __init__(self, connection: RawConnection, dialect: str = "0006") -> None:
        self.connection = connection
        self._dialect = dialect
        self._frames: list[peers.WireFrame] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    def receive_frame(self) -> peers.WireFrame:
        """Read one frame."""
        header = self.connection.receive_exactly(8)
        payload = self.connection.receive_exactly(int.from_bytes(header[:3], "little"))
        (frame,) = peers.parse_frames(header + payload)
        self._frames.append(frame)
        return frame

    def receive_until_answered(self, *request_ids: int) -> None:
        """Read until the last frame for each of these requests; they may interleave."""
        numbers = peers.NUMBERS[self._dialect]
        waiting = set(request_ids)
        while waiting:
            frame = self.receive_frame()
            is_last = frame.type_number == numbers["response"] and frame.flags & 2
            if is_last or frame.type_number == numbers["error"]:
                waiting.remove(frame.request_id)

    def receive_answers(self, *request_ids: int) -> dict[int, peers.Answer]:
        """Read the answers of these requests; everything before was answered as well."""
        self.receive_until_answered(*request_ids)
        answers = peers.read_answers(self._dialect, self._frames)
        return {request_id: answers[request_id] for request_id in request_ids}

    def payloads(self, type_number: int) -> bytes:
        """What all frames of one type held, together."""
        return b"".join(one.payload for one in self._frames if one.type_number == type_number)

    def receive_to_end(self) -> dict[int, peers.Answer]:
        """Read until the daemon closes; gives all answers of the connection."""
        self._frames += peers.parse_frames(self.connection.receive_to_end())
        return peers.read_answers(self._dialect, self._frames)

    def ask(self, name: bytes, request_id: int = 1, **extra: object) -> peers.Answer:
        """What one request is answered."""
        self.send(request(self._dialect, request_id, name, None, **extra))
        return self.receive_answers(request_id)[request_id]


def shown(dialect: str, heads: list[bytes]) -> bytes:
    """What the command `heads` answers."""
    if dialect == "0002":
        return b" ".join(node.hex().encode() for node in heads) + b"\n"
    return result(dialect, heads)


# --- listeners and dialects -----------------------------------------------------------------------


@every_dialect
def test_heads_over_tcp_in_the_dialect_of_the_listener(served: Served, dialect: str) -> None:
    with served.plain(dialect) as peer:
        assert peer.ask(b"heads").content == shown(dialect, served.heads())


@every_dialect
@pytest.mark.parametrize("listener", ["0006", "0003"])
def test_heads_over_tls_in_the_dialect_that_alpn_asks_for(
    served: Served, dialect: str, listener: str
) -> None:
    with served.secure(MEDIA[dialect], listener=listener, dialect=dialect) as peer:
        assert peer.ask(b"heads").content == shown(dialect, served.heads())


@pytest.mark.parametrize("listener", ["0006", "0003"])
@pytest.mark.parametrize(
    "offered", [(), ("http/1.1",), ("h2", "http/1.1")], ids=["none", "http", "two"]
)
def test_without_a_known_offer_tls_speaks_the_dialect_of_the_listener(
    served: Served, offered: tuple[str, ...], listener: str
) -> None:
    with served.secure(*offered, listener=listener) as peer:
        assert peer.ask(b"heads").content == shown(listener, served.heads())


def test_an_unknown_offer_beside_a_known_one_is_overlooked(served: Served) -> None:
    with served.secure("http/1.1", MEDIA["0005"], dialect="0005") as peer:
        assert peer.ask(b"heads").content == shown("0005", served.heads())


@pytest.mark.parametrize("listener", ["0006", "0003"])
def test_of_several_offers_the_listeners_own_dialect_is_chosen(
    served: Served, listener: str
) -> None:
    offered = [MEDIA[name] for name in ("0002", "0003", "0005", "0006")]
    with served.secure(*offered, listener=listener) as peer:
        assert peer.ask(b"heads").content == shown(listener, served.heads())


def test_heads_over_a_unix_socket(served: Served) -> None:
    with served.local() as peer:
        assert peer.ask(b"heads").content == shown("0006", served.heads())


def test_every_listener_is_logged(served: Served) -> None:
    log = served.daemon.log
    assert f"framed listening on hgrpc+unix:{served.unix}" in log
    for kind, scheme, number in (("framed", "hgrpc", 4), ("framed_tls", "hgrpcs", 2)):
        assert log.count(f"{kind} listening on {scheme}://{LOOPBACK}:") == number


# --- what may be asked ----------------------------------------------------------------------------


def test_a_connection_serves_request_after_request_and_many_at_once(served: Served) -> None:
    with served.plain() as peer:
        heads = shown("0006", served.heads())
        for request_id in (1, 3, 5):
            assert peer.ask(b"heads", request_id).content == heads
        ids = range(7, 507, 2)
        peer.send(b"".join(request("0006", number, b"heads") for number in ids))
        answers = peer.receive_answers(*ids)
        assert {answer.content for answer in answers.values()} == {heads}


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
def test_the_path_says_which_repository_is_asked(served: Served, dialect: str) -> None:
    with served.plain(dialect) as peer:
        for request_id, path, repository in (
            (1, b"/team/other", served.other),
            (3, b"team/other/", served.other),
            (5, b"/", served.repository),
            (7, b"", served.repository),
        ):
            answer = peer.ask(b"heads", request_id, path=path)
            assert answer.content == shown(dialect, served.heads(repository))
        answer = peer.ask(b"heads", 9, path=b"/team/none")
        assert answer == refusal(dialect, b"no repository is served at path %s", b"/team/none")
        assert peer.ask(b"heads", 11).content == shown(dialect, served.heads())


def test_writing_needs_tls_or_a_unix_socket(served: Served) -> None:
    with served.plain() as peer:
        assert peer.ask(b"write") == refusal("0006", b"ssl required")
        assert peer.ask(b"heads", 3).content == shown("0006", served.heads())
    for peer in (served.secure(), served.local()):
        with peer:
            assert peer.ask(b"write").content == result("0006", b"written")


def test_a_repository_that_forbids_writing_forbids_it_on_open_connections_too(
    served: Served,
) -> None:
    with served.secure() as peer:
        assert peer.ask(b"write").content == result("0006", b"written")
        write_hgrc(served.repository, "[web]\ndeny_push = *\n")
        try:
            assert peer.ask(b"write", 3) == refusal("0006", b"push not authorized")
            answer = peer.ask(b"write", 5, path=b"team/other")
            assert answer.content == result("0006", b"written")
        finally:
            write_hgrc(served.repository, "")
        assert peer.ask(b"write", 7).content == result("0006", b"written")


TALK: Final = [
    (6, {b"msg": b"at %s\n", b"args": [b"0"]}),
    (7, {b"topic": b"numbers", b"pos": 0, b"total": 2}),
    (6, {b"msg": b"at %s\n", b"args": [b"1"]}),
    (7, {b"topic": b"numbers", b"pos": 1, b"total": 2}),
]


@pytest.mark.parametrize(
    "accepted", [(), (b"text-output",), (b"progress",), (b"text-output", b"progress")]
)
def test_text_and_progress_come_to_peers_that_accept_them(
    served: Served, accepted: tuple[bytes, ...]
) -> None:
    with served.plain() as peer:
        peer.send(request("0006", 1, b"talk", accepts=list(accepted)))
        frames: list[peers.WireFrame] = []
        while not frames or frames[-1].type_number != 3 or not frames[-1].flags & 2:
            frames.append(peer.receive_frame())
    beside = [one for one in frames if one.type_number in {6, 7}]
    numbers = {b"text-output": 6, b"progress": 7}
    wanted = {numbers[name] for name in accepted}
    expected = []
    for number, content in TALK:
        atom: object = [content] if number == 6 else content
        if number in wanted:
            expected.append((number, 1, peers.item(atom, canonical=False)))
    assert [(one.type_number, one.request_id, one.payload) for one in beside] == expected
    rest = [one for one in frames if one.type_number not in {6, 7}]
    assert b"".join(one.payload for one in rest if one.type_number == 3) == result("0006", 0, 1)


def test_data_of_a_command_is_counted_while_it_arrives(served: Served) -> None:
    total = 3_000_000
    with served.plain() as peer:
        for frame in peers.request_frames("0006", 1, b"count", data=bytes(total)):
            peer.send(frame)
        answer = peer.receive_answers(1)[1]
        assert answer.content == result("0006", total)


MIB: Final = 1024 * 1024
GROWTH: Final = 16 * MIB


def resident(daemon: Daemon) -> int:
    """Give the daemon's resident memory in bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("kind", ["plain", "secure", "local"])
def test_a_slow_reader_gets_every_byte_and_holds_no_memory(served: Served, kind: str) -> None:
    connect = {"plain": served.plain, "secure": served.secure, "local": served.local}[kind]
    with connect() as warm:
        warm.ask(b"count", 1)
        warm.send(request("0006", 3, b"endless"))
        warm.connection.receive_exactly(4 * MIB)
    before = resident(served.daemon)
    with connect() as peer, served.plain() as other:
        peer.send(request("0006", 1, b"bulk"))
        # While the first reads nothing the daemon has time to run far ahead: it answers others.
        for request_id in range(1, 101, 2):
            other.ask(b"write", request_id)
        assert resident(served.daemon) - before < GROWTH
        peer.receive_until_answered(1)
        pieces = [number.to_bytes(4, "big") * 8192 for number in range(60 * 32)]
        assert peer.payloads(3) == result("0006", *pieces)
        assert resident(served.daemon) - before < GROWTH


# --- what peers do --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("size", [4, 3000], ids=["little", "much"])
def test_garbage_gets_an_error_frame_behind_the_answers_and_the_end_of_the_connection(
    served: Served, size: int, *, is_tls: bool
) -> None:
    with served.secure() if is_tls else served.plain() as peer:
        peer.ask(b"heads")
        peer.send(b"GET / HTTP/1.1\r\n" * size)
        answers = peer.receive_to_end()
        assert list(answers) == [1, 0]
        assert answers[0].error is not None
        assert b"frame_payload" in answers[0].error
    with served.plain() as peer:
        assert peer.ask(b"heads").content == shown("0006", served.heads())


def test_bytes_that_are_no_tls_end_their_own_connection_alone(served: Served) -> None:
    with RawConnection(served.daemon.ports("framed_tls")[0]) as connection:
        connection.send(request("0006", 1, b"heads") * 10)
        connection.receive_to_end()
    with served.secure() as peer:
        assert peer.ask(b"heads").content == shown("0006", served.heads())


@every_dialect
def test_a_peer_that_closes_its_side_is_answered_before_the_connection_is_closed(
    served: Served, dialect: str
) -> None:
    with served.plain(dialect) as peer:
        peer.send(b"".join(request(dialect, number, b"heads") for number in (1, 3, 5)))
        peer.connection.end_input()
        answers = peer.receive_to_end()
    assert sorted(answers) == [1, 3, 5]
    assert {answer.content for answer in answers.values()} == {shown(dialect, served.heads())}


def test_a_peer_that_leaves_stops_its_commands(served: Served) -> None:
    for connect in (served.plain, served.secure, served.local):
        seen = served.daemon.lines_logged()
        with connect() as peer:
            peer.send(request("0006", 1, b"slow") + request("0006", 3, b"endless"))
            served.daemon.wait_for_log("slow waits", after=seen)
            peer.connection.receive_exactly(100_000)
        served.daemon.wait_for_log("slow ended", after=seen)
        served.daemon.wait_for_log("endless ended", after=seen)


def test_connections_leave_no_descriptor_behind(served: Served) -> None:
    with served.plain() as first:
        first.ask(b"heads")  # a worker is there
        before = served.descriptors()
        several = [
            connect() for connect in (served.plain, served.secure, served.local) for _ in range(20)
        ]
        for number, peer in enumerate(several):
            peer.ask(b"heads")
            if number % 4 == 1:
                peer.send(b"\xff" * 100)
                peer.receive_to_end()
            elif number % 4 == 2:
                peer.send(request("0006", 3, b"count", b"half of it")[:-12])
            elif number % 4 == 3:
                peer.send(request("0006", 3, b"endless"))
                peer.connection.receive_exactly(40_000)
        assert served.descriptors() > before
        for peer in several:
            peer.connection.close()
        # Each answer takes a turn of the daemon, in which it finds out about closed sockets.
        for request_id in range(3, 4003, 2):
            first.send(request("0006", request_id, b"heads"))
            first.receive_until_answered(request_id)
            if served.descriptors() == before:
                break
        assert served.descriptors() == before


def test_nothing_of_this_left_a_traceback(served: Served) -> None:
    assert "Traceback" not in served.daemon.log
