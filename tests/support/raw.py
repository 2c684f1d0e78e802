"""A raw connection in memory: the real protocol over a transport that only collects.

Owns a clock in place of the reactor. A read of the transport is one call of `Raw.receive`, so that
a test decides what comes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from support import peers
from support.web import FakeHost
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.guard.turns import Turns
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Command
    from wiredaemon.net.hosting.host import Host
    from wiredaemon.net.logins import Logins

PEER: Final = IPv4Address("TCP", "10.0.0.1", 99)


class RawTransport(StringTransport):
    """Collects; as a real transport does, it overlooks what comes too late."""

    negotiatedProtocol: bytes | None = None  # noqa: N815 Twisted's name
    _is_write_closed = False

    def __init__(self, *, is_tcp: bool, is_tls: bool, is_unix: bool) -> None:
        host = UNIXAddress("/run/socket") if is_unix else IPv4Address("TCP", "10.0.0.2", 8010)
        peer = UNIXAddress(None) if is_unix else PEER
        super().__init__(hostAddress=host, peerAddress=peer)  # type: ignore[no-untyped-call]
        if is_tcp:
            alsoProvides(self, ITCPTransport)
        if is_tls:
            alsoProvides(self, ISSLTransport)

    # Methods, because a type checker believes that a property stays as it was.

    def is_paused(self) -> bool:
        """It does not read."""
        return self.producerState == "paused"

    def is_half_closed(self) -> bool:
        """Nothing more can be written."""
        return self._is_write_closed

    def is_closed(self) -> bool:
        """It was closed, in whatever way."""
        return self.disconnecting

    def is_aborted(self) -> bool:
        """It was closed without a farewell."""
        return self.disconnected

    def is_open(self) -> bool:
        """Nothing of it was closed."""
        return not (self.disconnecting or self._is_write_closed)

    def write(self, data: bytes) -> None:
        assert not self._is_write_closed, "written behind the end"
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def pauseProducing(self) -> None:
        if not self.disconnecting:
            super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            super().resumeProducing()  # type: ignore[no-untyped-call]

    def loseWriteConnection(self) -> None:
        self._is_write_closed = True

    def setTcpNoDelay(self, enabled: object) -> None:
        assert ITCPTransport.providedBy(self)
        assert enabled

    def unregisterProducer(self) -> None:
        if self.producer is not None:
            super().unregisterProducer()  # type: ignore[no-untyped-call]


class Raw:
    """One connection to a raw listener."""

    def __init__(
        self,
        dialect: str = "0006",
        *commands: Command,
        host: Host | None = None,
        hosts: Mapping[str, Host] | HostLookup | None = None,
        limits: Limits | None = None,
        logins: Logins | None = None,
        is_tcp: bool = True,
        is_tls: bool = False,
        is_unix: bool = False,
        factory: FramedFactory | None = None,
    ) -> None:
        """Connect.

        Args:
            dialect: The listener's dialect.
            commands: Served at the root by a host that is open to everybody.
            host: At the root, in place of that one.
            hosts: In place of both, by prefix, or all that is served.
            limits: The server's.
            logins: Log peers in.
            is_tcp: The transport has what TCP has.
            is_tls: TLS is in front of it.
            is_unix: It is a Unix socket.
            factory: That of an earlier connection, which serves this one as well.
        """
        self.dialect = dialect
        self.clock = MemoryReactorClock()
        self.guard_clock = Clock()
        """That of the guard alone, whose timer is no timer of the connection."""
        served = hosts if hosts is not None else {"/": host or FakeHost(commands)}
        self.factory = factory or FramedFactory(
            served if isinstance(served, HostLookup) else HostLookup(served),
            DIALECTS[dialect],
            reactor=self.clock,
            limits=limits or Limits(),
            logins=logins,
            guard=ConnectionGuard(self.guard_clock, limits or Limits()),
        )
        # However slow the machine is, all that comes at once is done at once.
        self.factory.guard.turns = Turns(self.clock, lambda: 0.0)
        self.transport = RawTransport(is_tcp=is_tcp, is_tls=is_tls, is_unix=is_unix)
        self.protocol = self.factory.buildProtocol(PEER)
        self.protocol.makeConnection(self.transport)  # type: ignore[no-untyped-call]

    # --- what the peer does ------------------------------------------------------------------

    def receive(self, *frames: bytes) -> None:
        """Let these bytes arrive in one read, if the transport reads at all."""
        assert not self.transport.is_paused(), "nothing is read now"
        self.protocol.dataReceived(b"".join(frames))

    def ask(self, request_id: int, name: str, **extra: object) -> None:
        """Let one request arrive in one read."""
        self.receive(self.request(request_id, name, None, **extra))

    def request(
        self, request_id: int, name: object, data: bytes | None = None, **extra: object
    ) -> bytes:
        """The frames of one request; ``extra`` are further keys of its map."""
        shown = name.encode() if isinstance(name, str) else name
        if self.dialect == "0002":
            assert isinstance(shown, bytes)
            return b"".join(peers.request_frames("0002", request_id, shown, data=data))
        keys = {key.encode(): value for key, value in extra.items()}
        content = peers.item({b"name": shown, **keys}, canonical=self.dialect != "0006")
        frames = peers.map_frames(self.dialect, request_id, content, has_data=data is not None)
        if data is not None:
            frames += peers.data_frames(self.dialect, request_id, data)
        return b"".join(frames)

    def wait(self, seconds: int) -> None:
        """Let the guard look at the connection for so long."""
        self.guard_clock.pump([1.0] * seconds)

    def end(self) -> None:
        """Let the peer close its side."""
        self.protocol.readConnectionLost()

    def lose(self) -> None:
        """Let the connection be lost."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def pause(self) -> None:
        """Let the transport have too much to send."""
        self._producer.pauseProducing()

    def resume(self) -> None:
        """Let it have sent that."""
        self._producer.resumeProducing()

    def has_producer(self) -> bool:
        """Something of ours is told how fast the transport sends."""
        return self.transport.producer is not None and bool(self.transport.streaming)

    @property
    def _producer(self) -> Any:
        return self.transport.producer

    # --- what it is sent ---------------------------------------------------------------------

    @property
    def wire(self) -> bytes:
        """All bytes."""
        sent: bytes = self.transport.value()  # type: ignore[no-untyped-call]
        return sent

    @property
    def answers(self) -> dict[int, peers.Answer]:
        """All answers, each complete."""
        return peers.read_answers(self.dialect, peers.parse_frames(self.wire))

    @property
    def order(self) -> list[int]:
        """Request ids in the order in which their first frames were sent."""
        return list(dict.fromkeys(one.request_id for one in peers.parse_frames(self.wire)))

    def contents(self, *request_ids: int) -> list[bytes]:
        """Return the answers to these requests, each complete and without an error frame."""
        answers = self.answers
        assert all(answers[request_id].error is None for request_id in request_ids)
        return [answers[request_id].content for request_id in request_ids]


def result(dialect: str, *values: object) -> bytes:
    """Return the payload of a response with these objects; raw bytes as they are up to 0002."""
    canonical = dialect != "0006"
    if dialect == "0002":
        return b"".join(value for value in values if isinstance(value, bytes))
    content = b"".join(peers.item(value, canonical=canonical) for value in values)
    if dialect in {"0005", "0006"}:
        content = peers.item({b"status": b"ok"}, canonical=True) + content
    return content


def refusal(dialect: str, message: bytes, *arguments: bytes) -> peers.Answer:
    """Return the answer to a request whose command is refused."""
    if dialect in {"0002", "0003", "0004"}:
        return peers.Answer(b"", (), message % arguments if arguments else message)
    error: dict[bytes, object] = {b"message": message}
    if arguments:
        error[b"args"] = list(arguments)
    content = peers.item({b"status": b"error", b"error": error}, canonical=dialect != "0006")
    return peers.Answer(content, (2,))


def server_error(dialect: str, text: bytes) -> peers.Answer:
    """Return the answer to a request that failed for no fault of its own."""
    if dialect != "0006":
        return refusal(dialect, text)
    atoms: list[object] = [{b"msg": text}]
    return peers.Answer(
        b"", (), peers.item({b"type": b"server", b"message": atoms}, canonical=False)
    )


def protocol_error(dialect: str, text: bytes) -> bytes:
    """Payload of the error frame in front of the end of a connection."""
    if dialect in {"0002", "0003", "0004"}:
        return text
    content = {b"type": b"protocol", b"message": [{b"msg": text}]}
    return peers.item(content, canonical=dialect != "0006")
