"""Version 1 and pages over the real site in memory; the test is the worker."""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import parse_headers
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.repositories import make_repository, run_hg
from support.responding import ensure_deferred
from support.serving import listening
from support.web import OPEN, Connection, FakeHost, Web, ask
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.commands.registry import Registry
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import HostedRepository, Settings
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application
from wiredaemon.net.site.site import make_site
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.net.workers.spooled_queue import SpoolBudget
from wiredaemon.net.workers.worker_stream import WorkerStream
from wiredaemon.repository.web_calls import WEB, WebRequest
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.commands import Peer
    from wiredaemon.wire.values import Value

KIB: Final = 1024
BUFFER: Final = 100 * KIB
VERSION1: Final = {b"heads": b"pull", b"batch": b"pull", b"unbundle": b"push"}
HEADS: Final = "/?cmd=heads"
UNBUNDLE: Final = "/?cmd=unbundle"
_DONE: Final = Failure(ConnectionDone())


@dataclass
class Feed:
    """The worker's end of a stream: what it was sent, and what is wanted of it."""

    data: bytes = b""
    data_ended: bool = False
    is_broken: bool = False
    is_paused: bool = False
    producer: IPushProducer | None = None

    def pause_output(self) -> None:
        self.is_paused = True

    def resume_output(self) -> None:
        self.is_paused = False

    def send_data(self, data: bytes, *, end: bool) -> None:
        self.data += data
        self.data_ended = end

    def break_data(self) -> None:
        self.is_broken = True

    def watch_input(self, producer: IPushProducer) -> None:
        self.producer = producer


class Exchange:
    """One request as the worker sees it, which the test answers."""

    def __init__(self, *, has_data: bool) -> None:
        self.feed = Feed()
        self.has_left = False
        self.stream = WorkerStream(
            self.feed,
            Limits(worker_stream_buffer=BUFFER),
            SpoolBudget(0),
            has_data=has_data,
            on_full=lambda: None,
            on_left=self._on_left,
        )

    def _on_left(self) -> None:
        self.has_left = True

    def begin(self, status: int = 200, reason: bytes = b"OK", *headers: tuple[str, str]) -> None:
        self.stream.receive(OK_MAP)
        named = [[name.encode(), value.encode()] for name, value in headers]
        self.say({b"status": status, b"reason": reason, b"headers": named})

    def say(self, *values: Value) -> None:
        for value in values:
            self.stream.receive(cbor.encode(value, DIALECTS["0006"].cbor.key_order))

    def end(self) -> None:
        self.stream.check_end()
        self.stream.finish()

    def answer(
        self, *pieces: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.begin(status, b"Reason", *headers)
        self.say(*pieces)
        self.end()


@dataclass
class Workers:
    """A repository whose workers are the test; implements what version 1 needs of a handle."""

    asked: list[tuple[bytes, WebRequest, bool]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    granted: list[Permission] = field(default_factory=list)
    are_busy: bool = False
    waiting: list[Deferred[None]] = field(default_factory=list)

    async def open(
        self, command: bytes, arguments: Mapping[bytes, object], *, has_data: bool = False
    ) -> WorkerStream:
        self.asked.append((command, WebRequest.parse(arguments), has_data))
        if self.are_busy:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        self.exchanges.append(Exchange(has_data=has_data))
        return self.exchanges[-1].stream

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]


class RepositoryHost(FakeHost):
    """A host with a repository."""

    has_repository = True

    def __init__(self, workers: Workers, access: AccessRules = OPEN) -> None:
        settings = Settings(switches=ApiSwitches(), access=access, version1=VERSION1)
        super().__init__(settings=settings)
        self._workers = workers

    def repository(self, peer: Peer, permission: Permission) -> Any:  # noqa: ARG002 of Host
        self._workers.granted.append(permission)
        return self._workers


class Hosted:
    """One connection to a site with a repository."""

    def __init__(
        self, access: AccessRules = OPEN, limits: Limits | None = None, **hosts: str
    ) -> None:
        self.workers = Workers()
        self.host = RepositoryHost(self.workers, access)
        served = dict.fromkeys(hosts.values(), self.host) or {"/": self.host}
        self.web = Web(hosts=served, limits=limits)
        self.connection: Connection = self.web.connect()

    @property
    def transport(self) -> Any:
        return self.connection.transport

    @property
    def channel(self) -> Any:
        return self.connection.protocol

    def send(self, data: bytes) -> Exchange:
        """Let the site receive bytes; the exchange that they are part of."""
        self.connection.send(data)
        return self.workers.last

    def take(self) -> bytes:
        return self.connection.take()

    def lose(self) -> None:
        self.channel.connectionLost(_DONE)


@pytest.fixture
def hosted() -> Hosted:
    return Hosted()


def posted(target: str, body: bytes, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask("POST", target, {"Content-Length": str(len(body)), **named}) + body


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED: Final = "Transfer-Encoding: chunked"


# --- what is asked -------------------------------------------------------------------------------


def test_the_head_of_a_request_travels_whole() -> None:
    hosted = Hosted(path="/team/repo")
    hosted.transport.hostAddr = IPv4Address("TCP", "192.168.1.9", 8000)
    lines = {"X-HgArg-1": "a=b", "x-twice": "1", "X-Twice": "2", "Content-Length": "4"}
    hosted.send(ask("POST", "/team/repo/a%20b/c?cmd=&x=%2F", lines) + b"body")
    ((command, request, has_data),) = hosted.workers.asked
    assert (command, has_data) == (WEB, True)
    assert {name.lower(): value for name, value in request.headers} == {
        b"host": b"test",
        b"content-length": b"4",
        b"x-hgarg-1": b"a=b",
        b"x-twice": b"2",
    }
    assert len(request.headers) == 5
    assert request == WebRequest(
        method=b"POST",
        script_name=b"/team/repo",
        path_info=b"/a b/c",
        query=b"cmd=&x=%2F",
        headers=request.headers,
        is_secure=False,
        server_name=b"192.168.1.9",
        server_port=8000,
        remote_address=b"192.168.1.1",
        has_body=True,
        content_length=4,
    )


@pytest.mark.parametrize(
    ("request_", "permission"),
    [
        (ask("GET", HEADS), Permission.RO),
        (posted(HEADS, b"args"), Permission.RO),
        (posted(UNBUNDLE, b"bundle"), Permission.RW),
        (posted("/?cmd=batch", b"cmds"), Permission.RW),
        (ask("GET", "/?cmd=batch"), Permission.RO),
        (ask("GET", "/log"), Permission.RO),
        (ask("GET", "/?cmd=changelog"), Permission.RO),
    ],
)
def test_the_permission_is_the_one_that_the_head_needs(
    hosted: Hosted, request_: bytes, permission: Permission
) -> None:
    hosted.send(request_)
    assert hosted.workers.granted == [permission]


def test_of_several_commands_the_last_one_counts_as_for_mercurial() -> None:
    hosted = Hosted(AccessRules(allow_pull=False))
    refusals = hosted.connection.exchange(
        ask("GET", "/?cmd=changelog&cmd=heads") + ask("GET", "/?cmd=&cmd=%68eads")
    )
    assert refusals.count(b"HTTP/1.1 401 pull not authorized\r\n") == 2
    assert hosted.workers.asked == []
    hosted.send(ask("GET", "/?cmd=heads&cmd=changelog"))
    assert hosted.workers.granted == [Permission.RO]


def test_a_body_in_chunks_goes_to_the_worker_without_a_length(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Transfer-Encoding": "chunked"}))
    ((_, request, has_data),) = hosted.workers.asked
    assert (request.has_body, request.content_length, has_data) == (True, None, True)
    hosted.send(chunks(b"some", b"more")[:-5])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"somemore", False)
    hosted.send(chunks())
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"somemore", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}])
def test_a_request_without_a_body_has_no_command_data(
    hosted: Hosted, headers: dict[str, str]
) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, headers))
    ((_, request, has_data),) = hosted.workers.asked
    assert (request.has_body, request.content_length, has_data) == (False, 0, False)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


# --- answers and the connection behind them ------------------------------------------------------


def keeps_alive(hosted: Hosted) -> bool:
    """Say whether the next request is answered on the same connection."""
    assert hosted.channel.timeOut == 60, "an idle connection is closed some time"
    hosted.send(ask("GET", HEADS)).answer(b"next", headers=[("Content-Length", "4")])
    expected = head("200 Reason", "Content-Length: 4") + b"next"
    return hosted.take() == expected and not hosted.connection.is_closed


def test_an_answer_of_a_known_length_is_sent_as_it_is(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin(200, b"Script output follows", ("Content-Length", "8"), ("X-A", "b"))
    exchange.say(b"some", b"more")
    exchange.end()
    expected = head("200 Script output follows", "Content-Length: 8", "X-A: b")
    assert hosted.take() == expected + b"somemore"
    assert keeps_alive(hosted)
    assert not exchange.has_left


@pytest.mark.parametrize("pieces", [(b"some", b"more!"), (b"some",), ()])
def test_an_answer_that_is_not_as_long_as_it_says_ends_the_connection(
    hosted: Hosted, pieces: tuple[bytes, ...]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.answer(*pieces, headers=[("content-length", "8")])
    assert hosted.take() == head("200 Reason", "content-length: 8") + b"".join(pieces)[:4]
    assert hosted.connection.is_closed


@pytest.mark.parametrize("lengths", [("4", "5"), ("4", "4"), ("-4",), ("4,4",), ("",)])
def test_an_answer_with_a_length_that_is_none_is_not_begun(
    hosted: Hosted, lengths: tuple[str, ...]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.answer(b"done", headers=[("Content-Length", each) for each in lengths])
    assert hosted.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


def test_an_answer_of_unknown_length_is_sent_in_chunks(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    assert hosted.take() == head("200 OK", CHUNKED)
    exchange.say(b"some")
    assert hosted.take() == b"4\r\nsome\r\n"
    exchange.say(b"")
    assert hosted.take() == b""
    exchange.say(b"m" * 17)
    exchange.end()
    assert hosted.take() == b"11\r\n" + b"m" * 17 + b"\r\n0\r\n\r\n"
    assert keeps_alive(hosted)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_sends_none(hosted: Hosted, status: int) -> None:
    hosted.send(ask("GET", "/log")).answer(b"ignored", status=status, headers=[("ETag", "x")])
    assert hosted.take() == head(f"{status} Reason", "ETag: x")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "9")]])
def test_an_answer_to_head_has_no_body(hosted: Hosted, headers: list[tuple[str, str]]) -> None:
    hosted.send(ask("HEAD", "/log")).answer(b"forgotten", headers=headers)
    assert hosted.take() == head("200 Reason", *map(": ".join, headers))
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "8")]])
@pytest.mark.parametrize(
    "request_",
    [
        ask("GET", HEADS).replace(b"HTTP/1.1", b"HTTP/1.0"),
        ask("GET", HEADS, {"Connection": "close"}),
    ],
    ids=["http10", "close"],
)
def test_who_wants_the_connection_closed_gets_no_chunks(
    hosted: Hosted, request_: bytes, headers: list[tuple[str, str]]
) -> None:
    hosted.send(request_).answer(b"some", b"more", headers=headers)
    expected = head("200 Reason", *map(": ".join, headers), "Connection: close")
    assert hosted.take() == expected + b"somemore"
    assert hosted.connection.is_closed


def test_many_requests_on_one_connection_are_answered(hosted: Hosted) -> None:
    for number in range(20):
        body = b"%d" * number
        exchange = hosted.send(posted(UNBUNDLE, body) if number % 2 else ask("GET", HEADS))
        exchange.answer(b"%d" % number)
        assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"%d" % number)
    assert len(hosted.workers.exchanges) == 20


def test_pipelined_requests_are_answered_one_after_the_other(hosted: Hosted) -> None:
    first = hosted.send(ask("GET", HEADS) + posted(UNBUNDLE, b"bundle") + ask("GET", "/log"))
    assert len(hosted.workers.asked) == 1
    first.begin()
    first.say(b"one")
    assert len(hosted.workers.asked) == 1
    first.end()
    assert len(hosted.workers.asked) == 2
    second = hosted.workers.last
    assert (second.feed.data, second.feed.data_ended) == (b"bundle", True)
    second.answer(b"two", headers=[("Content-Length", "3")])
    hosted.workers.last.answer(b"three")
    assert hosted.take() == b"".join(
        [
            head("200 OK", CHUNKED) + chunks(b"one"),
            head("200 Reason", "Content-Length: 3") + b"two",
            head("200 Reason", CHUNKED) + chunks(b"three"),
        ]
    )
    assert keeps_alive(hosted)


def test_a_refusal_in_front_of_an_answer_keeps_the_order(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS) + ask("GET", UNBUNDLE))
    exchange.answer(b"first")
    expected = head("200 Reason", CHUNKED) + chunks(b"first")
    answer = hosted.take()
    assert answer.startswith(expected + b"HTTP/1.1 405 push requires POST request\r\n")
    assert keeps_alive(hosted)


# --- back-pressure on the answer -----------------------------------------------------------------


def test_a_client_that_reads_slowly_makes_the_worker_wait(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    hosted.take()
    hosted.channel.pauseProducing()
    piece = bytes(16 * KIB)
    said = 0
    while not exchange.feed.is_paused:
        exchange.say(piece)
        said += 1
    assert said * len(piece) <= BUFFER + 2 * len(piece)
    assert len(hosted.take()) <= len(piece) + 10
    hosted.channel.resumeProducing()
    assert exchange.feed == Feed(is_paused=False)
    exchange.say(piece)
    exchange.end()
    assert hosted.take().endswith(chunks(piece))
    assert keeps_alive(hosted)


# --- the body ------------------------------------------------------------------------------------


def test_a_body_goes_to_the_worker_as_it_comes(hosted: Hosted) -> None:
    request = posted(UNBUNDLE, b"0123456789")
    exchange = hosted.send(request[:-6])
    assert exchange.feed.data == b"0123"
    hosted.send(request[-6:-1])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"012345678", False)
    hosted.send(request[-1:])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"0123456789", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


def test_continue_is_said_to_who_waits_for_it(hosted: Hosted) -> None:
    request = posted(UNBUNDLE, b"body", Expect="100-continue")
    exchange = hosted.send(request[:-4])
    assert hosted.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    hosted.send(b"body")
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")


@pytest.mark.parametrize("is_whole", [True, False])
def test_nothing_is_read_until_there_is_a_worker(hosted: Hosted, *, is_whole: bool) -> None:
    hosted.workers.are_busy = True
    request = posted(UNBUNDLE, b"body")
    hosted.connection.send(request if is_whole else request[:-1])
    assert hosted.transport.producerState == "paused"
    hosted.web.clock.advance(100_000)
    assert not hosted.connection.is_closed
    hosted.workers.are_busy = False
    hosted.workers.waiting[0].callback(None)
    assert hosted.transport.producerState == "producing" or is_whole
    exchange = hosted.workers.last
    assert exchange.feed.data_ended is is_whole
    if not is_whole:
        hosted.send(b"y")
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


def test_a_worker_that_reads_slowly_pauses_its_client(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000"}) + bytes(500))
    assert hosted.transport.producerState == "producing"
    assert exchange.feed.producer is not None
    exchange.feed.producer.pauseProducing()
    assert hosted.transport.producerState == "paused"
    hosted.web.clock.advance(100_000)
    assert not hosted.connection.is_closed
    exchange.feed.producer.resumeProducing()
    assert hosted.transport.producerState == "producing"
    hosted.send(bytes(500))
    assert (len(exchange.feed.data), exchange.feed.data_ended) == (1000, True)
    exchange.answer()
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks()
    assert keeps_alive(hosted)


@pytest.mark.parametrize("is_paused", [True, False])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]])
def test_an_answer_before_the_body_has_ended_is_whole_at_once(
    hosted: Hosted, headers: list[tuple[str, str]], *, is_paused: bool
) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000"}) + bytes(500))
    if is_paused:
        assert exchange.feed.producer is not None
        exchange.feed.producer.pauseProducing()
    exchange.answer(b"no", headers=headers)
    expected = (
        head("200 Reason", "Content-Length: 2") + b"no"
        if headers
        else head("200 Reason", CHUNKED) + chunks(b"no")
    )
    assert hosted.take() == expected
    assert hosted.transport.producerState == "producing"
    hosted.send(bytes(500))
    assert hosted.take() == b""
    assert exchange.feed.data == bytes(500)
    assert keeps_alive(hosted)


def test_of_a_body_behind_its_answer_no_more_is_drained_than_of_a_refused_one(
    hosted: Hosted,
) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "1000000"}))
    exchange.answer(b"no")
    states = []
    for more in (bytes(64 * KIB), b"+"):
        hosted.send(more)
        states.append(hosted.connection.is_closed)
    assert states == [False, True]
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"no")


# --- clients that leave --------------------------------------------------------------------------


def test_a_client_that_leaves_inside_the_answer_leaves_the_stream(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    exchange.say(b"some")
    hosted.lose()
    assert exchange.has_left
    exchange.say(b"more")
    exchange.end()


def test_a_client_that_leaves_while_it_is_paused_leaves_the_stream(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    hosted.channel.pauseProducing()
    exchange.say(b"some", b"more")
    hosted.lose()
    assert exchange.has_left


def test_a_client_that_leaves_inside_its_body_breaks_the_command_data(hosted: Hosted) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"body")[:-1])
    hosted.lose()
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"bod", False)
    assert exchange.feed.is_broken
    assert exchange.has_left


def test_a_client_that_leaves_behind_its_body_leaves_the_worker_the_whole_of_it(
    hosted: Hosted,
) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"body"))
    hosted.lose()
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    assert not exchange.feed.is_broken
    assert exchange.has_left


def test_who_waits_for_a_worker_without_a_body_is_seen_to_leave() -> None:
    hosted = Hosted()
    hosted.workers.are_busy = True
    hosted.connection.send(ask("GET", HEADS))
    # A transport that is paused would not tell.
    assert hosted.transport.producerState == "producing"
    hosted.web.clock.advance(100_000)
    assert not hosted.connection.is_closed
    hosted.workers.are_busy = False
    hosted.workers.waiting[0].callback(None)
    hosted.workers.last.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("end", [None, -1])
def test_a_client_that_leaves_before_there_is_a_worker_waits_for_none(
    hosted: Hosted, end: int | None
) -> None:
    hosted.workers.are_busy = True
    hosted.connection.send(posted(UNBUNDLE, b"body")[:end])
    (waiting,) = hosted.workers.waiting
    states = [waiting.called]
    hosted.lose()
    assert [*states, waiting.called] == [False, True], "it is cancelled"
    assert hosted.workers.exchanges == []
    assert hosted.take() == b""


# --- workers that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ServerError("busy: 64 commands wait"), b"busy: 64 commands wait\n"),
        (CommandError(b"%s refused", [b"it"]), b"it refused\n"),
    ],
)
def test_an_error_in_front_of_the_answer_is_a_503(
    hosted: Hosted, error: Exception, shown: bytes
) -> None:
    hosted.send(ask("GET", HEADS)).stream.fail(error)
    expected = head(
        "503 Service Unavailable", "Content-Type: text/plain", f"Content-Length: {len(shown)}"
    )
    assert hosted.take() == expected + shown
    assert keeps_alive(hosted)


def test_a_worker_that_cannot_be_had_is_a_503(hosted: Hosted) -> None:
    hosted.workers.are_busy = True
    hosted.connection.send(ask("GET", HEADS))
    hosted.workers.waiting[0].errback(ServerError("busy"))
    assert hosted.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    hosted.workers.are_busy = False
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "8")]])
def test_an_error_inside_the_answer_cuts_it_off(
    hosted: Hosted, headers: list[tuple[str, str]]
) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin(200, b"OK", *headers)
    exchange.say(b"some")
    exchange.stream.fail(ServerError("gone"))
    sent = hosted.take()
    assert sent.endswith(b"some" if headers else b"4\r\nsome\r\n")
    assert hosted.connection.is_closed
    hosted.lose()


@pytest.mark.parametrize("value", [b"no head", [1], None])
def test_what_is_no_answer_is_a_503(hosted: Hosted, value: Value) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.stream.receive(OK_MAP)
    exchange.say(value)
    assert hosted.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert exchange.has_left
    assert keeps_alive(hosted)


def test_no_answer_at_all_is_a_503(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.stream.receive(OK_MAP)
    exchange.end()
    assert hosted.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert keeps_alive(hosted)


def test_a_second_head_cuts_the_answer_off(hosted: Hosted) -> None:
    exchange = hosted.send(ask("GET", HEADS))
    exchange.begin()
    exchange.begin()
    assert hosted.connection.is_closed
    assert exchange.has_left
    hosted.lose()


# --- settings that are asked for -----------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_request_waits_for_the_settings(hosted: Hosted, *, is_whole: bool) -> None:
    settings = hosted.host.now
    asked: Deferred[Settings] = Deferred()
    hosted.host.now = asked
    request = posted(UNBUNDLE, b"body")
    hosted.connection.send(request if is_whole else request[:-1])
    assert hosted.transport.producerState == "paused"
    assert hosted.workers.asked == []
    assert isinstance(settings, Settings)
    hosted.host.now = settings
    asked.callback(settings)
    exchange = hosted.workers.last
    if not is_whole:
        hosted.send(b"y")
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"body", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


# --- real workers over a real socket -------------------------------------------------------------

LARGE: Final = 30 * 1024 * KIB


class Client(Protocol):
    """Sends at once, collects until the end, and may stop reading after the first bytes."""

    transport: Any

    def __init__(self, request: bytes, *, is_slow: bool = False) -> None:
        self._request = request
        self._is_slow = is_slow
        self._pieces: list[bytes] = []
        self.stalled: Deferred[None] = Deferred()
        self.ended: Deferred[BytesIO] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._is_slow and not self.stalled.called:
            self.transport.pauseProducing()
            self.stalled.callback(None)

    def connectionLost(self, reason: Failure = _DONE) -> None:  # noqa: ARG002 Twisted's
        self.ended.callback(BytesIO(b"".join(self._pieces)))


def read_response(sent: BytesIO) -> tuple[bytes, bytes]:
    """Read one response: its status line and its body."""
    status, headers = sent.readline(), parse_headers(sent)
    if headers["Transfer-Encoding"] != "chunked":
        return status, sent.read(int(headers["Content-Length"]))
    body = b""
    while size := int(sent.readline(), 16):
        body += sent.read(size)
        sent.readline()
    sent.readline()
    return status, body


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HGRCPATH", "")
    folder = make_repository(tmp_path / "large")
    (folder / "large").write_bytes(random.Random(7).randbytes(LARGE))  # noqa: S311 no secret
    run_hg("commit", "-A", "-m", "large", "-u", "test", "-d", "0 0", folder=folder)
    return folder


@asynccontextmanager
async def served(repository: Path, **limits: int) -> AsyncIterator[Callable[..., Client]]:
    """Serve a repository with workers of its own; what is given connects a client."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    of_all = Limits(**limits)
    pool = WorkerPool(anywhere, of_all)
    host = HostedRepository(
        os.fsencode(repository),
        registry=Registry(),
        switches=ApiSwitches(),
        access=OPEN,
        pool=pool,
    )
    application = Application(apis=[], limits=of_all, reactor=anywhere)
    pool.start()
    async with listening(make_site(application, HostLookup({"/": host}))) as port:

        def connect(request: bytes, *, is_slow: bool = False) -> Client:
            client = Client(request, is_slow=is_slow)
            factory: Any = ClientFactory()
            factory.buildProtocol = lambda _: client
            anywhere.connectTCP("127.0.0.1", port, factory)
            return client

        yield connect
    await pool.stop()


@ensure_deferred
async def test_a_slow_client_keeps_nobody_waiting_and_gets_all_with_what_is_pipelined_behind(
    large: Path,
) -> None:
    content = (large / "large").read_bytes()
    node = run_hg("log", "-r", "tip", "-T", "{node}", folder=large)
    last = ask("GET", HEADS, {"Connection": "close"})
    async with served(large, worker_processes=3, worker_spool=0) as connect:
        slow = connect(ask("GET", "/raw-file/tip/large") + last, is_slow=True)
        await slow.stalled
        for _ in range(3):
            status, body = read_response(await connect(last).ended)
            assert (status[:13], body) == (b"HTTP/1.1 200 ", node + b"\n")
        assert not slow.ended.called
        slow.transport.resumeProducing()
        sent = await slow.ended
    status, body = read_response(sent)
    assert status == b"HTTP/1.1 200 Script output follows\r\n"
    assert body == content
    assert read_response(sent)[1] == node + b"\n"
    assert sent.read() == b""


@ensure_deferred
async def test_a_client_that_leaves_inside_a_large_answer_leaves_its_worker_to_others(
    large: Path,
) -> None:
    last = ask("GET", "/raw-file/tip/large", {"Connection": "close"})
    async with served(large, worker_processes=1, worker_read_grace=0) as connect:
        for _ in range(2):
            slow = connect(ask("GET", "/raw-file/tip/large"), is_slow=True)
            await slow.stalled
            slow.transport.abortConnection()
            await slow.ended
        _, body = read_response(await connect(last).ended)
    assert body == (large / "large").read_bytes()


# --- bodies of those who may only read -------------------------------------------------------


def test_the_body_of_a_reader_is_held_until_it_is_whole(hosted: Hosted) -> None:
    client = hosted.web.connect()
    client.send(posted(HEADS, b"argument")[:-3])
    assert not hosted.workers.asked
    client.send(b"ent")
    assert hosted.workers.last.feed.data == b"argument"
    assert hosted.workers.last.feed.data_ended


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_a_reader_that_is_too_large_asks_for_no_worker(
    hosted: Hosted, *, is_chunked: bool
) -> None:
    size = Limits().request_size + 1
    if is_chunked:
        headers = b"POST /?cmd=heads HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        request = headers + b"%x\r\n" % size + bytes(size)
    else:
        request = b"POST /?cmd=heads HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size
    answer = hosted.web.connect().exchange(request)
    assert answer.startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert b"request_size" in answer
    assert not hosted.workers.asked


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_push_that_is_too_large_is_refused_and_its_worker_gets_no_more(
    *, is_chunked: bool
) -> None:
    hosted = Hosted(limits=Limits(push_size=10))
    body = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": "11"}
    hosted.connection.send(ask("POST", UNBUNDLE, body))
    hosted.connection.send(b"b\r\n12345678901\r\n" if is_chunked else b"")
    assert hosted.take().startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert bool(hosted.workers.exchanges) is is_chunked
    assert all(exchange.feed.is_broken for exchange in hosted.workers.exchanges)


def test_a_push_that_hardly_comes_loses_its_worker(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "100000"}))
    hosted.send(bytes(10_000))
    hosted.web.clock.advance(20)
    assert not exchange.feed.is_broken
    hosted.send(bytes(9_999))
    hosted.web.clock.advance(20)
    assert hosted.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert exchange.feed.is_broken


def test_what_the_worker_makes_a_push_wait_counts_for_nothing(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Content-Length": "100000"}))
    producer = exchange.feed.producer
    assert producer is not None
    producer.pauseProducing()
    hosted.web.clock.advance(20)
    producer.resumeProducing()
    hosted.web.clock.advance(20)
    assert not exchange.feed.is_broken
    hosted.web.clock.advance(20)
    assert exchange.feed.is_broken


def test_a_push_that_is_complete_may_take_its_time(hosted: Hosted) -> None:
    exchange = hosted.send(posted(UNBUNDLE, b"bundle"))
    hosted.web.clock.advance(3600)
    exchange.answer(b"done")
    assert hosted.take().startswith(b"HTTP/1.1 200 Reason\r\n")
    assert not hosted.web.clock.getDelayedCalls()[1:]
