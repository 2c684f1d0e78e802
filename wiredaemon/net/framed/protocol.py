"""The protocol of raw connections: passes bytes to the input, and frames to the socket.

Commands, limits and errors are the same as over HTTP: both transports share the connection, its
input and the Responder.

Source: framing, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from zope.interface import implementer

from wiredaemon.net.departures import never_half_closed, nothing_missing
from wiredaemon.net.framed.admission import STOPPING, RawAdmission
from wiredaemon.net.framed.closing import end_output
from wiredaemon.net.framed.raw_login import RawLogin
from wiredaemon.net.framed.waiting import wait_of
from wiredaemon.net.guard.held_memory import STEP
from wiredaemon.net.guard.waits import NOTHING_HELD, Held, Look, Wait
from wiredaemon.net.peer import peer_of, show_address
from wiredaemon.net.read_size import follow_read
from wiredaemon.net.repeated_lines import shortened
from wiredaemon.net.responding.exchange import begin_exchange
from wiredaemon.net.responding.held_input import held_by, holds_much
from wiredaemon.net.responding.interfaces import Load
from wiredaemon.net.twisted_internals import unsent_output
from wiredaemon.net.write_now import (
    bound_unsent,
    not_taken,
    pause_for_peer,
    send_at_once,
    write_now,
)
from wiredaemon.protocol import RemoteProtocolError, ServerConnection

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from wiredaemon.net.framed.factory import FramedFactory
    from wiredaemon.net.guard.guard import Refusal
    from wiredaemon.net.guard.waits import Expiry
    from wiredaemon.net.responding.connection_input import ConnectionInput
    from wiredaemon.net.responding.responder import Responder


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class FramedServerProtocol(Protocol):
    """One raw connection in full duplex.

    It owns the connection's input and sends the Responder's frames. Neither is made before the
    first byte: only then has TLS negotiated the dialect, and an idle connection takes 3.75 KiB
    (docs/performance.md).
    """

    _log = Logger()
    transport: Any
    _input: ConnectionInput | None = None
    responder: Responder | None = None
    _admission: RawAdmission | None = None
    _login: RawLogin | None = None
    """The login of the peer; None where nobody can log in, or before the first byte."""
    _input_ended = False
    _drained: int | None = None
    """Bytes that were dropped since our side has ended; None before that."""
    _timer: IDelayedCall | None = None
    _reads = 0
    """Reads so far."""
    _pinged: int | None = None
    """Reads before our last ping, in a session."""
    written = 0
    """Bytes of output so far."""
    _is_paused = False
    _was_paused = False
    """The peer was paused at some time since the last look at this connection."""
    _waits_for_tls = False

    def __init__(self, factory: FramedFactory) -> None:
        """Serve one connection with the hosts and limits of its factory."""
        self._factory = factory

    # --- called by the transport -------------------------------------------------------------

    def connectionMade(self) -> None:
        """Turn Nagle's algorithm off, and count the connection."""
        send_at_once(self.transport)
        follow_read(self.transport, 0)
        self._waits_for_tls = ISSLTransport.providedBy(self.transport)
        self._refuse(self._factory.guard.open(self, self.transport.getPeer()))

    def handshakeCompleted(self) -> None:
        """Note that TLS is ready."""
        self._waits_for_tls = False

    def dataReceived(self, data: bytes) -> None:
        """Receive bytes; after the end of our side they are only counted."""
        if self._drained is not None:
            self._drained += len(data)
            if self._drained > self._factory.limits.drained_body:
                self.transport.abortConnection()
            return
        follow_read(self.transport, len(data))
        self._reads += 1
        received = self._input
        if received is None:
            received = self._begin()
            if received is None:
                return
        received.receive_data(data)
        memory, responder = self._factory.guard.memory, self.responder
        is_held = (
            responder is None
            or self._is_paused
            or (responder.connection.is_receiving and holds_much(responder))
        )
        if is_held or self in memory:
            memory.tell(self, self._held())

    def readConnectionLost(self) -> None:
        """Answer the requests so far: the peer has closed its sending side only."""
        self._input_ended = True
        if self._drained is not None or self._input is None:
            self.transport.loseConnection()
        elif self.responder is not None and self.responder.connection.is_session_open:
            # The client has left without a word (sessions, section 2.3): nobody wants its answers.
            self.transport.abortConnection()
        else:
            self._input.receive_end()

    def writeConnectionLost(self) -> None:
        """Return the peer ``drain_seconds`` to close its side: all our output was sent."""
        factory, abort = self._factory, self.transport.abortConnection
        self._timer = factory.reactor.callLater(factory.limits.drain_seconds, abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 Twisted's signature
        """Cancel the commands of a peer that has gone."""
        self._factory.departures.forget(self.transport)
        guard = self._factory.guard
        if self.responder is not None and self.responder.running:
            guard.failed(self)
        guard.close(self, written=self.written)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        responder, self.responder, self._input = self.responder, None, None
        if responder is not None:
            responder.stop()
        if self._login is not None:
            self._login.stop()

    def _begin(self) -> ConnectionInput | None:
        """Make the input and the Responder; return None if the peer is refused."""
        factory = self._factory
        self._waits_for_tls = False
        self._refuse(factory.guard.identify(self, self.transport.getPeer()))
        if self._drained is not None:
            return None
        dialect = factory.dialect_of(self.transport)
        if factory.logins is None:
            peer = peer_of(self.transport)
        else:
            again, seconds = factory.limits.login_cache_seconds, factory.reactor.seconds
            self._login = RawLogin(factory.logins, self.transport, seconds, again)
            peer = self._login.peer
        calls = factory.guard.calls.of_raw(self.transport)
        self._admission = RawAdmission(factory.hosts, dialect, peer, calls, self._login)
        received, responder = begin_exchange(
            self,
            self._admission,
            dialect,
            half_duplex=False,
            threads=factory.guard.threads,
            limits=factory.limits,
            turns=factory.guard.turns,
            room=factory.guard.memory.room,
        )
        self._input, self.responder = received, responder
        self.transport.registerProducer(responder, True)  # noqa: FBT003 Twisted's signature
        return received

    # --- called by the input and the Responder -----------------------------------------------

    def send_output(self, connection: ServerConnection) -> None:
        """Send the connection's frames, with nothing between them on the wire."""
        parts = connection.parts_to_send()
        if parts:
            size = write_now(self.transport, parts)
            self.written += size
            memory = self._factory.guard.memory
            if size > STEP:
                memory.tell(self, self._held())
            if memory.room.is_scarce:
                pause_for_peer(self.transport)

    def share_output(self) -> None:
        """Let the system hold little that it has not sent."""
        bound_unsent(self.transport)

    def pause_input(self) -> None:
        """Stop reading."""
        self._is_paused = self._was_paused = True
        self.transport.pauseProducing()
        if self.responder is not None and self.responder.connection.pending:
            follow_read(self.transport, 0)  # more at once would only wait as well
        # Over TLS nobody can read answers who has closed the sending side.
        missing = never_half_closed if ISSLTransport.providedBy(self.transport) else nothing_missing
        self._factory.departures.watch(self.transport, missing=missing)

    def resume_input(self) -> None:
        """Read again."""
        self._factory.departures.forget(self.transport)
        self._is_paused = False
        self.transport.resumeProducing()

    def request_failed(self, message: str) -> None:
        """Count the limit that the error of a request names, if it names one."""
        guard, limits = self._factory.guard, self._factory.limits
        guard.hits.hit_in(message, limits, show_address(self.transport.getPeer()))

    def command_crashed(self, failure: Failure, command: str) -> None:
        """Log the exception of a command."""
        peer = show_address(self.transport.getPeer())
        self._factory.guard.crashes.log(failure, command, peer)

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """Close after the error frame."""
        message = shortened(error.message)
        if self._factory.guard.failed_connections.is_new(message):
            self._log.info(
                "connection of {peer} failed: {error}",
                peer=peer_of(self.transport).address,
                error=message,
            )
        self.request_failed(error.message)
        self._factory.guard.failed(self)
        self._close()

    def refused(self, response: Any) -> None:  # noqa: ANN401, ARG002 the interface's signature
        """Close; a raw connection's admission refuses single requests only, so nothing calls it."""
        self._close()

    def responses_finished(self, connection: ServerConnection) -> None:
        """Close: the peer has closed its side, and all is answered."""
        self.send_output(connection)
        self._close()

    # --- called by the guard -----------------------------------------------------------------

    def look(self) -> Look:
        """Return what the connection waits for: bytes of the peer, unless a command runs."""
        was_paused, self._was_paused = self._was_paused, self._is_paused
        if self._waits_for_tls:
            return Look(Wait.HANDSHAKE)
        unsent = not_taken(self.transport)
        if self._input is None or self.responder is None:
            wait = Wait.NEXT_FRAME if self._drained is None else Wait.CLOSE
            return Look(wait, written=self.written, unsent=unsent, held=self._held())
        wait, number = wait_of(self.responder, self._reads, self._pinged)
        return Look(wait, number, was_paused, 0, self.written, unsent, self._held())

    def _held(self) -> Held:
        """Return what the peer makes us hold."""
        unsent = unsent_output(self.transport)
        if self.responder is None or self._input is None:
            return Held(unsent) if unsent else NOTHING_HELD
        is_known = self._login is not None and self._login.peer.user is not None
        return held_by(self.responder, self._input, unsent, is_known=is_known)

    def expire(self, expiry: Expiry) -> None:
        """Close; a peer that has sent half of something learns why."""
        responder = self.responder
        if expiry.name == "session_ping_seconds" and responder is not None:
            self._pinged = self._reads
            responder.connection.send_ping(b"")
            responder.flush()
        elif self._input is None or expiry.name in {"raw_idle_seconds", "session_pong_seconds"}:
            if responder is not None:
                responder.stop()
            self._close()
        else:
            self._input.fail(f"the request is {expiry.shown}")

    def abort(self) -> None:
        """Close without a word."""
        self.transport.abortConnection()

    def drain(self, now: float) -> None:  # noqa: ARG002 raw clients need no time for more requests
        """Refuse further requests, and close when those before are answered."""
        responder, admission = self.responder, self._admission
        if self._drained is not None:
            return  # closed by us, and not yet by the peer
        if responder is None or admission is None:
            self._close(None if self._waits_for_tls else STOPPING)
            return
        connection, is_first = responder.connection, not admission.is_stopping
        admission.stop()
        if connection.has_session and is_first:
            connection.send_go_away(STOPPING.encode())
            responder.flush()
        if admission.is_deciding or responder.running or responder.load() is Load.BLOCKED:
            return
        responder.stop()
        # Whoever was told in a session needs no error of no request.
        self._close(None if connection.has_session else STOPPING)

    def _refuse(self, refusal: Refusal | None) -> None:
        """Close a connection too many, with an error frame where no handshake is in front of it."""
        if refusal is None:
            return
        if self._waits_for_tls or refusal.is_silent:
            # The handshake would cost more than the whole connection.
            self.abort()
            return
        self._close(refusal.shown)

    # --- the end -----------------------------------------------------------------------------

    def _close(self, message: str | None = None) -> None:
        """End our side after what was sent, and the other one when the peer has read it.

        A socket closed with unread input is reset, and what the peer has not read by then is lost.

        Args:
            message: The text of an error frame of no request, which is the last one.
        """
        if message is not None:
            if self.responder is None:
                dialect, limits = self._factory.dialect_of(self.transport), self._factory.limits
                connection = ServerConnection(dialect, half_duplex=False, limits=limits)
            else:
                connection = self.responder.connection
            connection.fail(RemoteProtocolError(message))
            self.send_output(connection)
        # Reading goes on, and all is dropped: a paused transport would not see the peer close.
        self._drained = 0
        self.responder = self._input = None
        transport = self.transport
        transport.unregisterProducer()
        self.resume_input()
        if end_output(transport, input_ended=self._input_ended):
            self.writeConnectionLost()
