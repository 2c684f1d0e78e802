"""The real site in memory: requests go in as bytes, and every byte of the answers comes out.

Owns a clock in place of the reactor, a connection over a transport that only collects, and hosts
whose settings a test gives. Nothing waits: what has not been answered when all bytes are in, is
not answered.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from support.environment import DUMMY_COMMANDS
from support.peers import request_frames, settings_frames
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

from wiredaemon.commands import ServerError
from wiredaemon.commands.registry import Registry, load_commands
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Api, Application, apis_of
from wiredaemon.net.http.public_urls import PublicUrls
from wiredaemon.net.site.site import make_site
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Command, Peer, Permission, Repository
    from wiredaemon.net.cache.bundles import RepositoryBundles
    from wiredaemon.net.hosting.host import Host
    from wiredaemon.net.hosting.push_answers import PushAnswers
    from wiredaemon.net.http.identification import Identification

FIRST: Final = "exp-http-v2-0001"
SECOND: Final = "exp-http-v2-0003"
API: Final = {"0002": FIRST, "0003": FIRST, "0005": FIRST, "0006": SECOND}
"""The API that speaks each framing."""

MEDIA: Final = {era: f"application/mercurial-exp-framing-{era}" for era in API}

OPEN: Final = AccessRules(push_ssl=False, allow_push=("*",))
"""Everybody may do everything."""

_STAMP: Final = re.compile(
    rb"(HTTP/1\.1 [^\r\n]*\r\n)Server: wiredaemon/[^\r\n]+\r\nDate: [^\r\n]+ GMT\r\n"
)


@cache
def dummy_commands() -> tuple[Command, ...]:
    """The seeds' two commands, loaded once: thousands of tests have a site."""
    return tuple(load_commands([str(DUMMY_COMMANDS)]))


def apis_speaking(eras: Iterable[str]) -> list[Api]:
    """The APIs that speak these eras, each in the order given."""
    by_name: dict[str, list[str]] = {}
    for era in eras:
        by_name.setdefault(API[era], []).append(era)
    return apis_of(by_name)


class FakeHost:
    """A host with the settings a test gives, or will give."""

    has_repository = False
    bundles: RepositoryBundles | None = None
    state: Any = None
    reactor: Any = None

    def __init__(
        self,
        commands: Iterable[Command] | None = None,
        *,
        settings: Settings | None = None,
        repository: Repository | None = None,
    ) -> None:
        """Host commands, by default the seeds'.

        Args:
            commands: In order.
            settings: In force; by default everything but debugreflect is on for everybody.
            repository: That commands are given.
        """
        self.registry = Registry(dummy_commands() if commands is None else commands)
        self.now: Settings | Deferred[Settings] = settings or settings_of()
        self._repository = repository

    def settings(self) -> Settings | Deferred[Settings]:
        """Return the settings that the test set."""
        return self.now

    def known_settings(self) -> Settings | None:
        """Return the settings that the test set, unless it has not yet."""
        return self.now if isinstance(self.now, Settings) else None

    def repository(self, peer: Peer, permission: Permission) -> Any:  # noqa: ARG002 of Host
        """Return the test's repository, if there is one."""
        if self._repository is None:
            raise ServerError("no repository is served at this path")
        return self._repository


def settings_of(*, access: AccessRules = OPEN, switches: ApiSwitches | None = None) -> Settings:
    """Settings of a host that is open to everybody."""
    return Settings(switches=switches or ApiSwitches(), access=access)


class _Transport(StringTransport):
    """Collects; as a real transport does, it overlooks what comes too late."""

    def resumeProducing(self) -> None:
        """Go on, unless it closes."""
        if not self.disconnecting:
            super().resumeProducing()  # type: ignore[no-untyped-call]

    def loseWriteConnection(self) -> None:
        """Close our side only."""
        self.disconnecting = True

    def setTcpNoDelay(self, enabled: object) -> None:
        """Send everything at once, as it does anyway."""

    def unregisterProducer(self) -> None:
        """Forget its producer, if there is one."""
        if self.producer is not None:
            super().unregisterProducer()  # type: ignore[no-untyped-call]


class Connection:
    """One connection to the site."""

    def __init__(self, web: Web, *, secure: bool = False, address: str = "192.168.1.1") -> None:
        """Connect."""
        peer = IPv4Address("TCP", address, 54321)
        self.transport = _Transport(peerAddress=peer)  # type: ignore[no-untyped-call]
        if secure:
            alsoProvides(self.transport, ISSLTransport)
        protocol = web.site.buildProtocol(peer)
        assert protocol is not None
        self.protocol = protocol
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> Self:
        """Let the site receive bytes."""
        self.protocol.dataReceived(data)
        return self

    def take(self) -> bytes:
        """Return all bytes sent since the last call, without the first two headers of each head."""
        sent = self.transport.io.getvalue()
        self.transport.io.seek(0)
        self.transport.io.truncate()
        return _STAMP.sub(rb"\1", sent)

    def exchange(self, request: bytes) -> bytes:
        """Send a request and return the answer."""
        return self.send(request).take()

    @property
    def is_closed(self) -> bool:
        """Return whether the site has closed the connection."""
        return self.transport.disconnecting


class Web:
    """The site, in memory."""

    def __init__(
        self,
        *framings: str,
        host: Host | None = None,
        hosts: Mapping[str, Host] | HostLookup | None = None,
        limits: Limits | None = None,
        identification: Identification | None = None,
        pushes: PushAnswers | None = None,
        public_urls: PublicUrls | None = None,
    ) -> None:
        """Serve a host at the root.

        Args:
            framings: In order; each belongs to the API that speaks it.
            host: At the root.
            hosts: In its place, by prefix, or all that is served.
            limits: The server's.
            identification: Finds out who sends requests.
            pushes: The answers to earlier pushes.
            public_urls: The configured URLs.
        """
        self.clock = Clock()
        self.guard_clock = Clock()
        """That of the guard alone, whose timer is no timer of a request."""
        self.guard = ConnectionGuard(self.guard_clock, limits or Limits())
        apis = apis_speaking(framings or API)
        application = Application(
            apis=apis,
            limits=limits or Limits(),
            reactor=self.clock,
            guard=self.guard,
            identification=identification,
            pushes=pushes,
            public_urls=public_urls or PublicUrls(),
        )
        # However slow the machine is, all that comes at once is done at once.
        self.guard.turns.now = lambda: 0.0
        served = hosts if hosts is not None else {"/": host or FakeHost()}
        self.site: Any = make_site(
            application, served if isinstance(served, HostLookup) else HostLookup(served)
        )

    def connect(self, *, secure: bool = False, address: str = "192.168.1.1") -> Connection:
        """Open a connection."""
        return Connection(self, secure=secure, address=address)

    def wait(self, seconds: int) -> None:
        """Let the guard look at the connections for so long."""
        self.guard_clock.pump([1.0] * seconds)

    def exchange(self, request: bytes, *, secure: bool = False) -> bytes:
        """Send one request on a connection of its own, which stays open, and return the answer."""
        connection = self.connect(secure=secure)
        answer = connection.exchange(request)
        assert not connection.is_closed
        return answer


def ask(method: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a request without a body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def path_of(era: str, command: str, permission: str = "ro") -> str:
    """Return the path of a command."""
    return f"/api/{API[era]}/{permission}/{command}"


def posted(
    era: str,
    command: str,
    body: bytes = b"",
    *,
    permission: str = "ro",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A POST to a command, with both media types unless `headers` says otherwise."""
    own = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]} if headers is None else headers
    length = {"Content-Length": str(len(body))}
    return ask("POST", path_of(era, command, permission), {**own, **length}) + body


def requests(era: str, *names: bytes) -> bytes:
    """Requests 1, 3, ... without arguments; only the first frame begins the stream."""
    frames = [
        frame
        for number, name in enumerate(names)
        for frame in request_frames(era, 2 * number + 1, name)
    ]
    return b"".join(frames)


def settings_first(*profiles: bytes) -> bytes:
    """The settings that 0006 clients begin with."""
    return b"".join(settings_frames(*profiles))


def text_answer(status: str, body: bytes, *headers: str) -> bytes:
    """A fixed answer of plain text."""
    return fixed_answer(status, body, "Content-Type: text/plain", *headers)


def fixed_answer(status: str, body: bytes, *headers: str) -> bytes:
    """A fixed answer: these headers, then the length."""
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def framed_answer(era: str, *frames: bytes) -> bytes:
    """An answer of frames: each in a chunk, given without its size."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[era]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    return b"".join([head.encode(), *chunks, b"0\r\n\r\n"])


def frames_of(era: str, answer: bytes) -> Sequence[bytes]:
    """The chunks of an answer of frames."""
    head = framed_answer(era)[: -len(b"0\r\n\r\n")]
    assert answer.startswith(head)
    rest = answer[len(head) :]
    chunks: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        chunk, rest = rest[:length], rest[length:]
        assert rest.startswith(b"\r\n")
        rest = rest[2:]
        if not length:
            assert rest == b""
            return chunks
        chunks.append(chunk)
