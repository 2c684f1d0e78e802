"""Large answers and uploads through a running daemon, whose memory is watched."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pytest
from support import peers
from support.configuration import configuration
from support.daemon import Daemon
from support.raw_http import RawConnection, post, trusting

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024 * 1024
TOTAL: Final = 60 * MIB
GROWTH: Final = 16 * MIB
MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"
HEADERS: Final = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
TARGET: Final = "/api/exp-http-v2-0003/ro/"
SWITCHES: Final = ("enabled = false", "http_v2 = false")

COMMANDS: Final = """
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import Permission, command

log = Logger()


@command("generate", permission=Permission.RO)
def generate(context):
    try:
        for _ in range(60 * 32):
            yield bytes(32768)
    finally:
        log.info("generate ended")


@command("echo", permission=Permission.RO, has_data=True)
async def echo(context):
    async for piece in context.data:
        yield piece


@command("count", permission=Permission.RO, has_data=True)
async def count(context):
    return sum([len(piece) async for piece in context.data])


@command("slow", permission=Permission.RO)
async def slow(context):
    log.info("slow waits")
    try:
        await Deferred()
    finally:
        log.info("slow ended")
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("streaming")
    file = folder / "streaming.py"
    file.write_text(COMMANDS, encoding="utf-8")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        listen=["http", "https", "framed_tls"],
        load=[file],
    )
    for switch in SWITCHES:
        text = text.replace(switch, switch.replace("false", "true"))
    with Daemon.start(text, folder) as running:
        with running.connect() as connection:  # warm: code and buffers are there
            ask(connection, "count", data=bytes(MIB))
        yield running


def resident(daemon: Daemon) -> int:
    """Give the daemon's resident memory in bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def request(name: str, data: bytes | None = None) -> bytes:
    return b"".join(peers.request_frames("0006", 1, name.encode(), data=data))


def ask(connection: RawConnection, name: str, data: bytes | None = None) -> bytes:
    """Give the content of an answer."""
    body = request(name, data)
    response = connection.exchange(post(TARGET + name, connection.authority, HEADERS, body))
    assert response.status == 200
    return peers.read_answers("0006", peers.parse_frames(response.body))[1].content


def counted(number: int) -> bytes:
    return peers.item({b"status": b"ok"}, canonical=True) + peers.item(number, canonical=True)


def test_a_large_answer_to_a_client_that_stops_reading_is_not_kept_in_memory(
    daemon: Daemon,
) -> None:
    before = resident(daemon)
    with daemon.connect() as connection, daemon.connect() as other:
        body = request("generate")
        connection.send(post(TARGET + "generate", connection.authority, HEADERS, body))
        connection.receive_exactly(MIB)
        # While the first reads nothing the daemon has time to run far ahead: it answers others.
        for _ in range(50):
            assert ask(other, "count", data=b"four") == counted(4)
        assert resident(daemon) - before < GROWTH
        rest, end = 0, b""
        while chunk := connection.receive_some():
            rest += len(chunk)
            end = (end + chunk)[-7:]
            if end == b"\r\n0\r\n\r\n":
                break
        assert rest > TOTAL - 3 * MIB
        assert resident(daemon) - before < GROWTH
        assert ask(connection, "count", data=b"") == counted(0)


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
def test_a_large_upload_is_counted_and_not_kept_in_memory(
    daemon: Daemon, *, is_chunked: bool
) -> None:
    before = resident(daemon)
    parts = peers.request_frames("0006", 1, b"count", data=bytes(TOTAL))
    with daemon.connect() as connection:
        lines = [f"POST {TARGET}count HTTP/1.1", f"Host: {connection.authority}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        if is_chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"Content-Length: {sum(map(len, parts))}")
        connection.send("\r\n".join([*lines, "", ""]).encode())
        for number, part in enumerate(parts):
            connection.send(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
            if number % 500 == 0:
                assert resident(daemon) - before < GROWTH
        if is_chunked:
            connection.send(b"0\r\n\r\n")
        response = connection.receive_response()
        answers = peers.read_answers("0006", peers.parse_frames(response.body))
        assert answers[1].content == counted(TOTAL)
        assert resident(daemon) - before < GROWTH
        assert ask(connection, "count", data=b"again") == counted(5)


def test_an_echo_comes_back_while_it_is_sent(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        content = ask(connection, "echo", data=bytes(200_000))
        assert content.count(b"\0") >= 200_000
        assert ask(connection, "count", data=b"again") == counted(5)


@pytest.mark.parametrize(("name", "begun"), [("generate", None), ("slow", "slow waits")])
def test_a_client_that_goes_away_ends_its_command(
    daemon: Daemon, name: str, begun: str | None
) -> None:
    after = daemon.lines_logged()
    with daemon.connect() as connection:
        connection.send(post(TARGET + name, connection.authority, HEADERS, request(name)))
        if begun is None:
            connection.receive_exactly(1000)
        else:
            daemon.wait_for_log(begun, after=after)
    daemon.wait_for_log(f"{name} ended", after=after)
    with daemon.connect() as connection:
        assert ask(connection, "count", data=b"next") == counted(4)


@pytest.mark.parametrize("listener", ["https", "framed_tls"])
def test_a_client_that_ends_tls_in_the_middle_of_an_answer_ends_its_command(
    daemon: Daemon, listener: str
) -> None:
    # Twisted alone would drop what is written from then on, and let the command run to its end.
    after = daemon.lines_logged()
    with daemon.connect(listener, tls=trusting(None)) as connection:
        body = request("generate")
        is_http = listener == "https"
        connection.send(
            post(TARGET + "generate", connection.authority, HEADERS, body) if is_http else body
        )
        connection.receive_exactly(1000)
        with suppress(ssl.SSLError):  # of data behind our farewell
            cast("ssl.SSLSocket", connection.socket).unwrap()
        daemon.wait_for_log("generate ended", after=after)
