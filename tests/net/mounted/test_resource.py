"""A service below a path of an ordinary Twisted site, called by real clients over real sockets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import pytest
import treq
from support import peers
from support.embedding import calling, mounted, reactor
from support.responding import ensure_deferred, failures
from support.serving import write_certificate
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from wiredaemon import Argument, ArgumentType, Limits, Permission, Service
from wiredaemon.client import HttpAnswerError
from wiredaemon.commands import RawBytes
from wiredaemon.net.tls import over_tls, server_options
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MIB: Final = 1024 * 1024
API: Final = "api/exp-http-v2-0003"
MEDIA: Final = "application/mercurial-exp-framing-0006"
FRAMES: Final[Any] = {"Accept": MEDIA, "Content-Type": MEDIA}
HANDSHAKE: Final[Any] = {
    "X-HgUpgrade-1": "exp-http-v2-0003",
    "X-HgProto-1": "cbor",
}


class Program:
    """What the commands of these tests have done."""

    def __init__(self) -> None:
        self.given = 0
        """Objects that `endless` has given."""
        self.ended: Deferred[None] = Deferred()
        """Fires when `endless` or `wait` has ended."""
        self.started: Deferred[None] = Deferred()


def service_of(**options: Any) -> Service:
    service = Service(Program(), **options)

    @service.command(
        "greet", permission=Permission.RO, arguments={"name": Argument(type=ArgumentType.BYTES)}
    )
    def greet(context: Any, name: bytes) -> bytes:  # noqa: ARG001 every command is given its context
        return b"hello " + name

    @service.command("endless", permission=Permission.RO)
    def endless(context: Any) -> Iterator[bytes]:
        try:
            while True:
                context.state.given += 1
                yield bytes(16 * 1024)
        finally:
            context.state.ended.callback(None)

    @service.command("wait", permission=Permission.RO)
    async def wait(context: Any) -> None:
        context.state.started.callback(None)
        try:
            await Deferred()
        finally:
            context.state.ended.callback(None)

    @service.command("hash", permission=Permission.RO, has_data=True)
    async def hash_(context: Any) -> bytes:
        digest = hashlib.sha256()
        async for piece in context.data:
            # Slower than the body is fed: it has to pause.
            await deferLater(context.reactor, 0)
            digest.update(piece)
        return digest.digest()

    @service.command("numbers", permission=Permission.RO)
    async def numbers(context: Any) -> AsyncIterator[int]:  # noqa: ARG001 as above
        for number in range(1000):
            yield number

    return service


class Raw(Protocol):
    """A connection that sends bytes as they are and reads only when it is told to."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost: Deferred[None] = Deferred()
        self._waiting: tuple[bytes, Deferred[None]] | None = None

    def until(self, end: bytes) -> Deferred[None]:
        """Return what fires when the received bytes have ``end`` in them."""
        waiting: Deferred[None] = Deferred()
        self._waiting = end, waiting
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._waiting is not None and self._waiting[0] in self.received:
            waiting, self._waiting = self._waiting[1], None
            waiting.callback(None)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002 Twisted's signature
        self.lost.callback(None)


async def raw_to(url: str) -> Raw:
    host = url.split("/")[2].replace(":", ":port=")
    raw: Raw = await connectProtocol(clientFromString(reactor(), f"tcp:host={host}"), Raw())
    return raw


def posted(url: str, command: str, body: bytes, version: str = "1.1") -> bytes:
    """The bytes of a call over HTTP."""
    path = "/" + url.split("/", 3)[3]
    return (
        f"POST {path}/{API}/ro/{command} HTTP/{version}\r\nHost: a\r\nAccept: {MEDIA}\r\n"
        f"Content-Type: {MEDIA}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def call_of(command: str) -> bytes:
    """The frame of a request without arguments."""
    return b"".join(peers.request_frames("0006", 1, command.encode(), {}))


@pytest.mark.parametrize("path", [b"rpc", b"deep/in/the/site"])
@ensure_deferred
async def test_a_client_calls_below_any_path_and_pages_stay_pages(path: bytes) -> None:
    async with mounted(service_of(), path) as url, calling(url) as connection:
        assert connection.dialect is DIALECTS["0006"]
        assert await connection.call(b"greet", {b"name": b"ann"}).result() == b"hello ann"
        assert [one async for one in connection.call(b"numbers")] == list(range(1000))
        page = await treq.get(url.removesuffix(path.decode()) + "page", persistent=False)
        assert await page.content() == b"page /page"


@pytest.mark.parametrize("dialect", ["0002", "0003", "0005", "0006"])
@ensure_deferred
async def test_all_dialects_of_http_are_spoken(dialect: str) -> None:
    service = Service()
    service.command("raw", permission=Permission.RO)(lambda _context: RawBytes(b"raw bytes"))
    expected: Any = RawBytes(b"raw bytes") if dialect in {"0002", "0003"} else b"raw bytes"
    async with mounted(service) as url, calling(url, dialect=DIALECTS[dialect]) as connection:
        assert await connection.call(b"raw").result() == expected


@ensure_deferred
async def test_data_of_megabytes_is_read_as_slowly_as_the_command_takes_it() -> None:
    data = bytes(range(256)) * (12 * MIB // 256)
    async with mounted(service_of()) as url, calling(url) as connection:
        found = await connection.call(b"hash", data=data).result()
    assert found == hashlib.sha256(data).digest()


@ensure_deferred
async def test_a_client_that_reads_nothing_stops_the_command_and_its_end_cancels_it() -> None:
    service = service_of()
    program: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "endless", call_of("endless")))
        await raw.until(b"\r\n\r\n")
        raw.transport.pauseProducing()
        given, quiet = 0, 0
        while quiet < 100:  # turns of the reactor in which nothing more was given
            await deferLater(reactor(), 0)
            quiet = 0 if program.given != given else quiet + 1
            given = program.given
        # What the system holds on both sides, and no more than output_high here.
        assert given * 16 * 1024 < 16 * MIB
        assert not program.ended.called
        raw.transport.abortConnection()
        await program.ended


@ensure_deferred
async def test_a_client_that_leaves_cancels_the_command() -> None:
    service = service_of()
    program: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "wait", call_of("wait")))
        await program.started
        assert len(service.serving.guard) == 1
        raw.transport.abortConnection()
        await program.ended
        assert len(service.serving.guard) == 0


@ensure_deferred
async def test_stopping_lets_answers_end_and_aborts_those_that_do_not() -> None:
    service = service_of()
    program: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "wait", call_of("wait")))
        await program.started
        await service.stop(0.01)
        await program.ended
        await raw.lost
        answer = await treq.get(url + "?cmd=capabilities", persistent=False)
        assert answer.code == 503
        assert await answer.content() == b"the server is stopping\n"


@ensure_deferred
async def test_the_handshake_of_mercurial_is_answered_with_and_without_a_slash() -> None:
    async with mounted(service_of()) as url:
        for query in ("?cmd=capabilities", "/?cmd=capabilities"):
            answer = await treq.get(url + query, headers=HANDSHAKE, persistent=False)
            assert answer.headers.getRawHeaders(b"content-type") == [b"application/mercurial-cbor"]
            assert b"exp-http-v2-0003" in await answer.content()


@pytest.mark.parametrize(
    ("method", "path", "code", "content"),
    [
        ("GET", "", 200, b"wiredaemon serves Mercurial's"),
        ("GET", "/api", 200, b"APIs can be accessed at /api/<name>"),
        ("GET", f"/{API}/ro/greet", 405, b"commands require POST requests"),
        ("POST", f"/{API}/ro/other", 404, b"unknown wire protocol command: other"),
        ("POST", f"/{API}/ro/greet", 406, b"client MUST specify Accept header"),
        ("GET", "/log", 400, b"no such method: log"),
        ("PUT", "/?cmd=capabilities", 405, b"the methods here are"),
        ("HEAD", f"/{API}/ro/greet", 405, b""),
    ],
)
@ensure_deferred
async def test_other_requests_are_answered_as_by_the_daemon(
    method: str, path: str, code: int, content: bytes
) -> None:
    async with mounted(service_of()) as url:
        answer = await treq.request(method, url + path, persistent=False)
        assert answer.code == code
        assert (await answer.content()).startswith(content)


@ensure_deferred
async def test_a_broken_body_is_refused_with_its_fault() -> None:
    async with mounted(service_of()) as url:
        answer = await treq.post(
            f"{url}/{API}/ro/greet",
            b"\x00" * 3,
            headers=FRAMES,
            persistent=False,
        )
        assert answer.code == 400
        assert b"incomplete frame" in await answer.content()


@ensure_deferred
async def test_a_body_beyond_the_limit_is_refused_by_its_name() -> None:
    service = service_of(limits=Limits(command_data=1000, request_size=1000))
    async with mounted(service) as url:
        answer = await treq.post(f"{url}/{API}/ro/hash", bytes(2001), persistent=False)
        assert answer.code == 413
        assert b"(command_data)" in await answer.content()


@ensure_deferred
async def test_more_requests_at_once_than_allowed_are_refused() -> None:
    service = service_of(limits=Limits(connections=1))
    program: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "wait", call_of("wait")))
        await program.started
        with pytest.raises(HttpAnswerError, match=r"\(connections\); try again in 10 s") as caught:
            async with calling(url):
                pass
        assert caught.value.status == 503
        raw.transport.abortConnection()
        await program.ended


def status_for(site: Site, host: str) -> bytes:
    """The status of a wrong request from an address; loopback is never counted."""
    transport = StringTransport(peerAddress=IPv4Address("TCP", host, 1))
    protocol: Any = site.buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    protocol.dataReceived(b"GET /rpc/log HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    answer: bytes = transport.value()
    return answer.split(b" ", 2)[1]


@ensure_deferred
async def test_an_address_whose_requests_fail_too_often_is_refused_for_a_while() -> None:
    service = service_of(limits=Limits(failed_requests=2, failed_requests_rate=0.01))
    root = Resource()
    root.putChild(b"rpc", service.resource())
    site = Site(root)
    hosts = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]
    assert [status_for(site, host) for host in hosts] == [b"400", b"400", b"429", b"400"]
    await service.stop()


@ensure_deferred
async def test_a_client_that_takes_nothing_is_cut_off_in_the_end() -> None:
    service = service_of(limits=Limits(answer_stalled_seconds=0.2))
    program: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "endless", call_of("endless")))
        await raw.until(b"\r\n\r\n")
        raw.transport.pauseProducing()
        await program.ended
        raw.transport.resumeProducing()
        await raw.lost
    assert service.serving.guard.hits.counts == {"answer_stalled_seconds": 1}


@ensure_deferred
async def test_over_tls_of_the_site_commands_may_write(tmp_path: Path) -> None:
    folder = write_certificate(tmp_path, "127.0.0.1")
    service = Service()
    service.command("write", permission=Permission.RW)(lambda _context: b"written")
    root = Resource()
    root.putChild(b"rpc", service.resource())
    options = server_options(folder / "cert.pem", folder / "key.pem")
    port = reactor().listenTCP(0, over_tls(Site(root), options), interface="127.0.0.1")
    url = f"https://127.0.0.1:{port.getHost().port}/rpc"
    async with calling(url, authorities=folder / "ca.pem") as connection:
        assert await connection.call(b"write").result() == b"written"
    await service.stop()
    await port.stopListening()


@ensure_deferred
async def test_an_http_1_0_client_gets_its_answer_to_the_end_of_the_connection() -> None:
    service = service_of()
    async with mounted(service) as url:
        raw = await raw_to(url)
        raw.transport.write(posted(url, "numbers", call_of("numbers"), "1.0"))
        await raw.lost
        head, _, body = raw.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"chunked" not in head
        assert len(body) > 1000


@ensure_deferred
async def test_a_command_that_fails_is_logged_and_says_nothing() -> None:
    service = Service()

    @service.command("broken", permission=Permission.RO)
    def broken(context: Any) -> None:  # noqa: ARG001 every command is given its context
        raise RuntimeError("a secret")

    with capturedLogs() as events:
        async with mounted(service) as url, calling(url) as connection:
            with pytest.raises(Exception, match="the server's log says why"):
                await connection.call(b"broken").result()
    assert [str(one["log_failure"].value) for one in failures(events)] == ["a secret"]


# --- calls with JSON -----------------------------------------------------------------------------

JSON: Final[Any] = {"Content-Type": "application/json"}


@ensure_deferred
async def test_commands_are_called_with_json_below_any_path() -> None:
    async with mounted(service_of(json=True), b"deep/rpc") as place:
        url = place + "/json"
        answer = await treq.post(url + "/greet", b'{"name": "you"}', headers=JSON, persistent=False)
        assert await answer.content() == b'"hello you"\n'
        answer = await treq.get(url + "/greet?name=me", persistent=False)
        assert await answer.json() == "hello me"
        headers: Any = {"Content-Type": "application/octet-stream"}
        answer = await treq.post(url + "/hash", bytes(MIB), headers=headers, persistent=False)
        assert await answer.json() == {"hex": hashlib.sha256(bytes(MIB)).hexdigest()}
        answer = await treq.get(url + "/openapi.json", persistent=False)
        assert (await answer.json())["servers"] == [{"url": "/deep/rpc/json"}]
        answer = await treq.get(url + "/", persistent=False)
        assert "/openapi.json" in str(answer.request.absoluteURI)
        answer = await treq.request("OPTIONS", url + "/greet", persistent=False)
        assert (answer.code, answer.headers.getRawHeaders("Content-Length")) == (204, None)
        answer = await treq.get(url + "/nothing", persistent=False)
        assert answer.code == 404
        assert (await answer.json())["status"] == 404


@ensure_deferred
async def test_calls_with_json_are_streamed_and_stop_with_their_client() -> None:
    service = service_of(json=True)
    state: Any = service.state
    async with mounted(service) as url:
        raw = await raw_to(url)
        head = b"GET /rpc/json/%s HTTP/1.1\r\nHost: a\r\nAccept: %s\r\n\r\n"
        raw.transport.write(head % (b"numbers", b"application/x-ndjson"))
        await raw.until(b'{"end": {"results": 1000}}\n\r\n0\r\n\r\n')
        raw.transport.write(head % (b"endless", b"text/event-stream"))
        await raw.until(b"id: 3\n")
        raw.transport.abortConnection()
        await state.ended
        assert 3 <= state.given < 1000


@ensure_deferred
async def test_without_json_its_path_is_unknown_and_logins_are_asked_for_in_json() -> None:
    async with mounted(service_of()) as url:
        answer = await treq.get(url + "/json/numbers", persistent=False)
        assert (answer.code, answer.phrase) == (400, b"no such method: json")

    def check(_user: str, _password: bytes) -> None:
        """Know nobody."""

    async with mounted(service_of(json=True, authenticate=check)) as url:
        answer = await treq.get(url + "/json/numbers", persistent=False)
        assert answer.code == 401
        assert (await answer.json())["detail"] == "read not authorized"
        answer = await treq.get(url + "/json/numbers", auth=("ann", "x"), persistent=False)
        assert answer.code == 401
        assert (await answer.json())["title"] == "Unauthorized"
