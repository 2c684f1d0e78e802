"""StreamingRequest under Twisted's own HTTPChannel, in memory and on one real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.responding import ensure_deferred, make_command
from twisted.internet import reactor as real_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from wiredaemon.commands.registry import Registry
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import CommandsOnly
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Api, Application
from wiredaemon.net.site.site import make_site
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.commands import Command

API: Final = b"/api/exp-http-v2-0003/ro/"
MEDIA_TYPE: Final = b"application/mercurial-exp-framing-0006"
KIB: Final = 1024


_DONE: Final = Failure(ConnectionDone())


class Transport(StringTransport):
    """Counts writes, and keeps what was written together apart."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))


def small(_: Any) -> bytes:
    return b"small"


async def count(context: Any) -> int:
    return sum([len(piece) async for piece in context.data])


LIMITS: Final = Limits(refused_body=128 * KIB)


class Served:
    """One connection to a site of ours."""

    def __init__(self, *commands: Command) -> None:
        self.clock = Clock()
        commands = commands or (make_command(small), make_command(count, has_data=True))
        host = CommandsOnly(Registry(commands), ApiSwitches(), AccessRules())
        api = Api(name=b"exp-http-v2-0003", framings=[DIALECTS["0006"]])
        self.guard_clock = Clock()
        guard = ConnectionGuard(self.guard_clock, Limits())
        # However slow the machine is, all that comes at once is done at once.
        guard.turns.now = lambda: 0.0
        application = Application(apis=[api], limits=LIMITS, reactor=self.clock, guard=guard)
        self.site: Any = make_site(application, HostLookup({"/": host}))
        self.transport: Any = Transport()  # StringTransport is not annotated
        self.protocol: Any = self.site.buildProtocol(None)  # type: ignore[no-untyped-call]
        self.channel: Any = None
        self.protocol.callLater = self.clock.callLater
        self.protocol.makeConnection(self.transport)
        self.channel = self.protocol
        self.channel.callLater = self.clock.callLater

    def receive(self, *data: bytes) -> bytes:
        """Feed bytes and give what was written in answer."""
        self.transport.clear()
        for one in data:
            self.protocol.dataReceived(one)
        written: bytes = self.transport.value()
        return written

    def lose(self) -> None:
        self.protocol.connectionLost(_DONE)


def head(
    name: bytes, *headers: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"POST"
) -> bytes:
    lines = [b"%s %s%s %s" % (method, API, name, version), b"Host: x"]
    lines += [b"Accept: " + MEDIA_TYPE, b"Content-Type: " + MEDIA_TYPE, *headers, b"", b""]
    return b"\r\n".join(lines)


def posted(name: bytes, body: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return head(name, b"Content-Length: %d" % len(body), *headers, version=version) + body


def frames(name: bytes = b"small", data: bytes | None = None) -> bytes:
    return b"".join(peers.request_frames("0006", 1, name, data=data))


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def refusals(wire: bytes) -> int:
    return wire.count(b"HTTP/1.1 404 Not Found\r\n")


def test_a_refusal_is_written_before_the_body_is_read_and_keeps_the_connection() -> None:
    served = Served()
    answer = served.receive(head(b"unknown", b"Content-Length: 10"))
    assert refusals(answer) == 1
    assert b"Connection" not in answer
    assert served.receive(b"0123456789") == b""
    assert served.receive(posted(b"small", frames())).startswith(b"HTTP/1.1 200 OK\r\n")
    assert not served.transport.disconnecting


def test_pipelined_requests_behind_a_refusal_are_answered_in_order() -> None:
    served = Served()
    refused, served_one = posted(b"unknown", b"body"), posted(b"small", frames())
    answer = served.receive(refused + served_one + refused)
    assert refusals(answer) == 2
    first, ok, last = (answer.index(each) for each in (b"404", b"200 OK", b"0\r\n\r\nHTTP/1.1 404"))
    assert first < ok < last


def test_continue_is_sent_only_to_who_was_accepted() -> None:
    served = Served()
    expect = b"Expect: 100-continue"
    body = frames()
    accepted = served.receive(head(b"small", expect, b"Content-Length: %d" % len(body)))
    assert accepted == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert served.receive(body).startswith(b"HTTP/1.1 200 OK\r\n")
    refused = served.receive(head(b"unknown", expect, b"Content-Length: 5"))
    assert refused.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"\r\nConnection: close\r\n" in refused
    assert b"100 Continue" not in refused


def test_chunked_request_bodies_are_read() -> None:
    served = Served()
    body = frames(b"count", bytes(100))
    request = head(b"count", b"Transfer-Encoding: chunked")
    whole = served.receive(request + chunked(body))
    assert b"\x18d" in whole
    for cut in range(1, len(body)):
        assert b"\x18d" in served.receive(request, chunked(body[:cut], body[cut:]))


def test_a_body_may_be_cut_anywhere() -> None:
    request = posted(b"count", frames(b"count", b"data"))
    served = Served()
    whole = served.receive(request)
    for cut in range(1, len(request)):
        answer = served.receive(request[:cut], request[cut:])
        assert answer.partition(b"\r\n\r\n")[2] == whole.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("header", "closes"),
    [
        (b"Content-Length: 65536", False),
        (b"Content-Length: 65537", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_a_long_body_behind_a_refusal_closes_the_connection(header: bytes, *, closes: bool) -> None:
    served = Served()
    answer = served.receive(head(b"unknown", header))
    assert refusals(answer) == 1
    assert (b"\r\nConnection: close\r\n" in answer) is closes


def test_no_more_than_refused_body_is_drained() -> None:
    served = Served()
    served.receive(head(b"unknown", b"Content-Length: 1000000"), bytes(128 * KIB))
    assert not served.transport.disconnecting
    served.receive(b"+")
    assert served.transport.disconnecting


def test_draining_takes_no_more_than_two_seconds() -> None:
    served = Served()
    served.receive(head(b"unknown", b"Content-Length: 10"), b"some")
    served.clock.advance(1.9)
    assert not served.transport.disconnecting
    served.clock.advance(0.2)
    assert served.transport.disconnecting


def test_http10_and_close_are_answered_without_chunks() -> None:
    for request in (
        posted(b"small", frames(), version=b"HTTP/1.0"),
        posted(b"small", frames(), b"Connection: close"),
    ):
        served = Served()
        answer = served.receive(request)
        start, _, body = answer.partition(b"\r\n\r\n")
        assert start.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close" in start
        assert b"Transfer-Encoding" not in start
        answers = peers.read_answers("0006", peers.parse_frames(body))
        assert answers[1].content.endswith(b"Esmall")
        assert served.transport.disconnecting


def test_head_has_no_body() -> None:
    answer = Served().receive(head(b"small", method=b"HEAD"))
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert answer.endswith(b"\r\nContent-Length: 30\r\n\r\n")


def test_each_frame_is_a_chunk_and_all_of_them_leave_in_one_write() -> None:
    served = Served()
    answer = served.receive(posted(b"small", frames()))
    assert served.transport.writes == [answer]
    sizes, rest = [], answer.partition(b"\r\n\r\n")[2].removesuffix(b"0\r\n\r\n")
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        assert len(peers.parse_frames(rest[: int(size, 16)])) == 1
        sizes.append(size)
        rest = rest[int(size, 16) + 2 :]
    assert sizes == [b"11", b"13", b"e", b"8"]


class Gated:
    """A command that reads its data when the test says so."""

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.cancelled: Any = False

    async def gated(self, context: Any) -> int:
        try:
            await self.gate
            return sum([len(piece) async for piece in context.data])
        except CancelledError:
            self.cancelled = True
            raise

    def serve(self) -> Served:
        return Served(make_command(self.gated, has_data=True))


def test_a_body_pauses_and_goes_on_and_nothing_is_spooled() -> None:
    gated = Gated()
    served = gated.serve()
    body = frames(b"gated", bytes(600 * KIB))
    cut = 400 * KIB
    served.receive(head(b"gated", b"Content-Length: %d" % len(body)), body[:cut])
    (request,) = served.channel.requests
    assert request.content is None
    assert served.transport.producerState == "paused"
    served.guard_clock.pump([1.0] * 1000)
    assert not served.transport.disconnecting, "a paused client is not an idle one"
    served.receive(body[cut : cut + KIB])  # a record that TLS had read already
    assert served.transport.producerState == "paused"
    gated.gate.callback(None)
    assert served.transport.producerState == "producing"
    answer = served.receive(body[cut + KIB :])
    assert peers.item(600 * KIB, canonical=True) in answer


@pytest.mark.parametrize("is_complete", [True, False], ids=["mid-response", "mid-body"])
def test_a_client_that_goes_away_cancels_its_command(*, is_complete: bool) -> None:
    gated = Gated()
    served = gated.serve()
    body = frames(b"gated", b"data")
    first = body if is_complete else body[:-1]
    served.receive(head(b"gated", b"Content-Length: %d" % len(body)), first)
    assert not gated.cancelled
    served.lose()
    assert gated.cancelled
    assert served.transport.value() == b""
    assert not [call for call in served.clock.getDelayedCalls() if call.active()]


def test_a_client_that_goes_away_inside_an_answer_closes_the_generator() -> None:
    closed: list[str] = []

    def endless(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(32 * KIB)
        finally:
            closed.append("closed")

    served = Served(make_command(endless))
    assert served.receive(posted(b"endless", frames(b"endless")))
    served.channel.pauseProducing()
    served.lose()
    assert closed == ["closed"]


@ensure_deferred
async def test_accepted_connections_do_not_delay_small_writes() -> None:
    served = Served()
    found = served.site.getResourceFor
    seen: list[bool] = []
    lost: Deferred[None] = Deferred()

    def look(request: Any) -> Any:
        seen.append(bool(request.channel.transport.getTcpNoDelay()))
        return found(request)

    class Client(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(b"GET / HTTP/1.0\r\n\r\n")  # type: ignore[union-attr]

        def connectionLost(self, reason: Failure = _DONE) -> None:  # noqa: ARG002 Twisted's
            lost.callback(None)

    served.site.getResourceFor = look
    reactor: Any = real_reactor
    port = reactor.listenTCP(0, served.site, interface="127.0.0.1")
    make_client: Any = ClientFactory.forProtocol
    reactor.connectTCP("127.0.0.1", port.getHost().port, make_client(Client))
    await lost
    await port.stopListening()
    assert seen == [True]


# --- streamed answers ----------------------------------------------------------------------------


class Producer:
    """Of an answer: what the connection tells it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Body:
    """Takes the body of a request."""

    def __init__(self, on_end: Any = None) -> None:
        self.data = b""
        self._on_end = on_end

    def receive_data(self, data: bytes) -> None:
        self.data += data

    def receive_end(self) -> None:
        if self._on_end is not None:
            self._on_end()

    def held(self) -> tuple[int, int]:
        return 0, 0

    def connection_lost(self) -> None:
        pass


class Streaming:
    """A resource that leaves all to the test."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def headers_received(self, request: Any) -> None:
        self.requests.append(request)


@pytest.fixture
def streaming() -> tuple[Served, Streaming]:
    served, resource = Served(), Streaming()
    served.site.getResourceFor = lambda _: resource
    return served, resource


GET: Final = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_the_producer_of_a_streamed_answer_is_told_what_the_client_takes(
    streaming: tuple[Served, Streaming],
) -> None:
    served, resource = streaming
    served.receive(GET)
    producer: Any = Producer()
    (request,) = resource.requests
    request.body.claim(Body())
    request.response.begin_stream(200, b"OK", [], producer)
    served.channel.pauseProducing()
    served.channel.resumeProducing()
    assert producer.told == ["pause", "resume"]
    request.end_stream()
    served.receive(GET)
    served.channel.pauseProducing()
    assert producer.told == ["pause", "resume"], "the next answer has another one"


def test_a_body_that_ends_with_the_whole_answer_leaves_in_one_write(
    streaming: tuple[Served, Streaming],
) -> None:
    served, resource = streaming

    def answer() -> None:
        request.response.begin_stream(200, b"OK", [(b"X-A", b"b")], Producer())
        request.response.write_body(b"one")
        request.response.write_body(b"two")
        request.end_stream()

    served.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
    (request,) = resource.requests
    request.body.claim(Body(answer))
    sent = served.receive(b"+")
    assert sent.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert served.transport.writes == [sent]


@pytest.mark.parametrize(
    ("length", "rest", "closes"),
    [
        (10, b"0123456789", False),
        (200_000, bytes(131_072), False),
        (200_000, bytes(131_073), True),
    ],
)
def test_an_answer_that_ends_before_the_body_is_complete_and_the_rest_is_drained(
    streaming: tuple[Served, Streaming], length: int, rest: bytes, *, closes: bool
) -> None:
    served, resource = streaming
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
    served.receive(head)
    (request,) = resource.requests
    body = Body()
    request.body.claim(body)
    request.response.begin_stream(200, b"OK", [], Producer())
    request.response.write_body(b"early")
    request.end_stream()
    assert served.transport.value().endswith(b"5\r\nearly\r\n0\r\n\r\n")
    assert served.receive(rest) == b""
    assert body.data == b""
    assert served.transport.disconnecting is closes
    if len(rest) == length:
        served.receive(GET)
        assert len(resource.requests) == 2


def test_draining_behind_an_answer_takes_no_more_than_two_seconds(
    streaming: tuple[Served, Streaming],
) -> None:
    served, resource = streaming
    served.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    (request,) = resource.requests
    request.body.claim(Body())
    request.response.begin_stream(204, b"No Content", [], Producer())
    request.end_stream()
    served.clock.advance(1.9)
    states = [served.transport.disconnecting]
    served.clock.advance(0.2)
    assert [*states, served.transport.disconnecting] == [False, True]


def test_a_streamed_answer_to_a_client_that_has_gone_is_not_ended(
    streaming: tuple[Served, Streaming],
) -> None:
    served, resource = streaming
    served.receive(GET)
    (request,) = resource.requests
    request.body.claim(Body())
    request.response.begin_stream(200, b"OK", [], Producer())
    sent = served.transport.value()
    served.lose()
    request.end_stream()
    assert served.transport.value() == sent
    assert not served.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("declared", "expected"),
    [(b"Content-Length: 7", 7), (b"Transfer-Encoding: chunked", None), (b"X-A: b", 0)],
)
def test_the_declared_length_of_a_body_is_known_from_the_head(
    streaming: tuple[Served, Streaming], declared: bytes, expected: int | None
) -> None:
    served, resource = streaming
    served.receive(b"POST / HTTP/1.1\r\nHost: x\r\n" + declared + b"\r\n\r\n")
    assert [request.content_length for request in resource.requests] == [expected]
