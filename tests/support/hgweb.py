"""Version 1 and pages over the real site in memory, where the test is the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from support.web import OPEN, Connection, FakeHost, Web, ask
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from wiredaemon.net.guard.waits import Wait
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.workers.spooled_queue import SpoolBudget
from wiredaemon.net.workers.worker_stream import WorkerStream
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.commands import Peer, Permission
    from wiredaemon.net.hosting.push_answers import PushAnswers
    from wiredaemon.net.http.identification import Identification
    from wiredaemon.net.http.public_urls import PublicUrls
    from wiredaemon.wire.values import Value

KIB: Final = 1024
BUFFER: Final = 100 * KIB
VERSION1: Final = {b"heads": b"pull", b"batch": b"pull", b"unbundle": b"push"}
HEADS: Final = "/?cmd=heads"
UNBUNDLE: Final = "/?cmd=unbundle"
DONE: Final = Failure(ConnectionDone())


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
    short: list[bool] = field(default_factory=list)
    """Whether each was said to take little time."""
    are_busy: bool = False
    waiting: list[Deferred[None]] = field(default_factory=list)

    async def open(
        self,
        command: bytes,
        arguments: Mapping[bytes, object],
        *,
        has_data: bool = False,
        is_short: bool = False,
    ) -> WorkerStream:
        self.short.append(is_short)
        self.asked.append((command, WebRequest.parse(arguments), has_data))
        if self.are_busy:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        self.exchanges.append(Exchange(has_data=has_data))
        return self.exchanges[-1].stream

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]


class Handle:
    """The repository as one request has it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._streams: list[WorkerStream] = []

    async def open(self, *arguments: Any, **more: Any) -> WorkerStream:
        self._streams.append(await self._workers.open(*arguments, **more))
        return self._streams[-1]

    def clone(self, request: WebRequest, body: bytes | bytearray = b"") -> None:
        """Keep nothing."""

    @property
    def held(self) -> int:
        return sum(stream.held for stream in self._streams)


class RepositoryHost(FakeHost):
    """A host with a repository."""

    has_repository = True

    def __init__(self, workers: Workers, access: AccessRules = OPEN) -> None:
        settings = Settings(switches=ApiSwitches(), access=access, version1=VERSION1)
        super().__init__(settings=settings)
        self._workers = workers
        self.peers: list[Peer] = []

    def repository(self, peer: Peer, permission: Permission) -> Any:
        self.peers.append(peer)
        self._workers.granted.append(permission)
        return Handle(self._workers)


class Hosted:
    """One connection to a site with a repository."""

    def __init__(
        self,
        access: AccessRules = OPEN,
        limits: Limits | None = None,
        identification: Identification | None = None,
        pushes: PushAnswers | None = None,
        public_urls: PublicUrls | None = None,
        **hosts: str,
    ) -> None:
        self.workers = Workers()
        self.host = RepositoryHost(self.workers, access)
        served = dict.fromkeys(hosts.values(), self.host) or {"/": self.host}
        # Workers are asked for at once, so that tests see what they get, byte for byte.
        limits = limits or Limits(push_early=0)
        self.web = Web(
            hosts=served,
            limits=limits,
            identification=identification,
            pushes=pushes,
            public_urls=public_urls,
        )
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
        self.channel.connectionLost(DONE)


def posted(target: str, body: bytes, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask("POST", target, {"Content-Length": str(len(body)), **named}) + body


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED: Final = "Transfer-Encoding: chunked"


def keeps_alive(hosted: Hosted) -> bool:
    """Return whether the next request is answered on the same connection."""
    hosted.web.wait(2)
    wait = hosted.channel.look().wait
    assert wait is Wait.NEXT_REQUEST, "an idle connection is closed some time"
    hosted.send(ask("GET", HEADS)).answer(b"next", headers=[("Content-Length", "4")])
    expected = head("200 Reason", "Content-Length: 4") + b"next"
    return hosted.take() == expected and not hosted.connection.is_closed
