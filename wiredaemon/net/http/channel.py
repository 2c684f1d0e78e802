"""Twisted's HTTP/1.1 channel with a cache of parsed request heads.

A head that the site knows is not parsed again: `KnownHeadChannel.dataReceived` passes the request
to its resource directly. A POST takes 100 us instead of 239 with that, and without the log of
requests (docs/performance.md). Everything else is Twisted's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import connectionDone
from zope.interface import implementer

from wiredaemon.net.departures import WatchedInput, never_half_closed
from wiredaemon.net.guard.held_memory import RETRY, STEP
from wiredaemon.net.guard.turns import LATE, LITTLE, SECONDS
from wiredaemon.net.guard.waits import Look, Wait
from wiredaemon.net.http.half_closed import COMING, HalfClosedChannel
from wiredaemon.net.http.held_body import held_by, tell_held
from wiredaemon.net.http.known_heads import LONGEST
from wiredaemon.net.http.responses import bad_request, busy, text
from wiredaemon.net.http.strict_heads import LINE_END, write_refusal
from wiredaemon.net.read_size import follow_read
from wiredaemon.net.twisted_internals import (
    is_between_requests,
    is_receiving,
    receive_parsed_request,
    replace_network_producer,
    unfinished_line,
)
from wiredaemon.net.write_now import not_taken

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from wiredaemon.commands import Peer
    from wiredaemon.net.guard.guard import Refusal
    from wiredaemon.net.guard.waits import Expiry
    from wiredaemon.net.http.identification import Client, KnownLogin

_END: Final = b"\r\n\r\n"
_REFUSED: Final = frozenset({"held_memory", "unfinished_bytes"})
"""Limits that end a request whose body is still arriving, and not the connection."""

_PIECE: Final = 8192
"""Bytes that Twisted's parser is given at once, outside of bodies: 40 may be a request."""
_FOLLOWING: Final = 2.0
"""Seconds for each request after a push while the daemon stops. `hg push` asks for phases and
bookmarks within some tens of milliseconds of its own work."""


@implementer(IHandshakeListener)
class KnownHeadChannel(HalfClosedChannel):
    """One HTTP connection, which looks up each request head among the known ones."""

    requests: Any
    """The unanswered requests, each a `StreamingRequest`."""
    requestFactory: Any
    site: Any
    transport: Any
    input: WatchedInput
    """The producer that is paused and resumed in place of the transport."""
    peer: Peer | None = None
    """The client, once a request has asked for it."""
    client: Client | None = None
    login: KnownLogin | None = None
    """More of the client, where requests may come with a login, and the last login."""
    written = 0
    """Bytes of output so far."""
    is_last_request = False
    """The connection closes after the request that is being answered."""
    is_draining = False
    """The daemon stops."""
    is_followed = False
    """The client has pushed, and will ask for more."""
    _was_ended = False
    """The connection would go on after this request if the daemon did not stop."""
    _quiet: tuple[int, float] | None = None
    """Requests so far, and the time, when there was first no other one while the daemon stops."""
    requests_begun = 0
    """Requests so far."""
    _waits_for_tls = False
    _is_identified = False
    """Bytes have arrived, so that it is known whom they come from."""
    _refused: int | None = None
    """Bytes that were dropped since the connection was refused; None if it was not."""
    _addresses: tuple[Any, Any] | None = None
    rest = b""
    """Bytes of further requests, which wait until it is the turn of this connection again."""
    _head: bytes | None = None
    """The bytes of the head that is parsed next, if it may be remembered."""

    def connectionMade(self) -> None:
        """Count the connection."""
        follow_read(self.transport, 0)
        super().connectionMade()
        # Over TLS the end of the input is the end of the connection.
        missing = never_half_closed if self.isSecure() else self.missing
        self.input = WatchedInput(self.transport, self.site.departures, missing)
        replace_network_producer(self, self.input)
        self._waits_for_tls = self.isSecure()
        self._refuse(self.site.guard.open(self, self.transport.getPeer()))

    def handshakeCompleted(self) -> None:
        """Note that TLS is ready."""
        self._waits_for_tls = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the peer, and notify the requests."""
        self.input.forget()
        self.rest = b""
        super().connectionLost(reason)
        self.site.guard.close(self, written=self.written, requests=self.requests_begun)

    def dataReceived(self, data: bytes) -> None:
        """Receive bytes, as many as are worked off in one turn; the others wait for another one."""
        if is_receiving(self):
            # Bytes kept after the request that has ended just now, for whoever works them off.
            super().dataReceived(data)
            return
        size = len(data)
        if size > LITTLE and self.site.guard.memory.is_crowded:
            size = 0
        follow_read(self.transport, size)
        if not self._is_identified:
            self._identify()
        if self._refused is not None:
            self._drop(len(data))
            return
        if self.rest:
            self.rest += data
            return
        turns = self.site.guard.turns
        now, began = turns.now, turns.now()
        if began - turns.current.began > LATE and len(data) > LITTLE:
            self._wait_for_turn(data)
            return
        ends = began + SECONDS
        while data and not self.transport.disconnecting:
            data = self._receive_some(data)
            if data and now() >= ends:
                self._wait_for_turn(data)
                return

    def _receive_some(self, data: bytes) -> bytes:
        """Receive one request with a known head, or some bytes; return those after them."""
        # Bytes kept from an earlier read belong to no head that follows.
        self._head = None
        if is_between_requests(self):
            if self.site.replaced_by is not None:
                self.site.replaced_by.take_over(self)
            end = data.find(_END) + len(_END)
            if len(_END) <= end <= LONGEST:
                head = data[:end]
                # Compared byte for byte: heads that differ only in the case of a letter are two.
                known = self.site.known_heads.find(head)
                if known is not None:
                    return receive_parsed_request(self, known, data[end:])
                self._head = head
        size = len(data) if self._is_inside_body(len(data)) else _PIECE
        super().dataReceived(data[:size])
        if b"\n" in unfinished_line(self):
            # Nothing that follows could end this line properly.
            self.refuse_head(bad_request(LINE_END), unfinished_line(self))
        return data[size:]

    def _is_inside_body(self, size: int) -> bool:
        """Return whether no request ends within so many bytes, so that they are one's body."""
        if not self.requests or self.line_mode:
            return False
        body = self.requests[-1].body
        return body.declared is not None and body.declared - body.received >= size

    def _wait_for_turn(self, data: bytes) -> None:
        """Let other connections go first; reading waits, and so do these bytes."""
        self.rest = data
        self.input.pauseProducing()
        self.site.guard.turns.wait(self._go_on)
        if len(data) > STEP:
            tell_held(self)

    def setLineMode(self, extra: bytes = b"") -> None:
        """Receive what Twisted has kept after a request, in front of what waits for its turn."""
        if self.rest:
            self.rest = extra + self.rest
            extra = b""
        super().setLineMode(extra)

    def _go_on(self) -> None:
        data, self.rest = self.rest, b""
        if data and not self.transport.disconnecting:
            self.input.resumeProducing()
            self.dataReceived(data)

    def getPeer(self) -> Any:  # noqa: ANN401 Twisted's own is not annotated
        """Return the client's address; only the first request makes system calls for it."""
        if self._addresses is None:
            # Asked for once: the system call and the address made of it take some 2 us.
            self._addresses = (super().getPeer(), super().getHost())
        return self._addresses[0]

    def getHost(self) -> Any:  # noqa: ANN401 the same
        """Return the address of our end."""
        if self._addresses is None:
            self.getPeer()
        return self._addresses[1] if self._addresses is not None else None

    def take_head(self) -> bytes | None:
        """Return the bytes of the head that was just parsed, for its own request and no other.

        None is returned where they are not certain: the head came in pieces, or after another
        request in one read. The decision on one head must never be remembered for another.
        """
        head, self._head = self._head, None
        # A connection that is about to close has no further request that could use it.
        return head if self.persistent else None

    # --- called by the requests --------------------------------------------------------------

    def begin_request(self) -> None:
        """Count a request whose head is complete; the last one closes the connection politely."""
        self.requests_begun += 1
        if self.requests_begun >= self.site.limits.requests_per_connection:
            limit = self.site.limits.requests_per_connection
            self.site.guard.hits.hit("requests_per_connection", limit, self.getPeer())
            self.end_behind_request()
        elif self.is_draining and not self.is_followed:
            self._was_ended = bool(self.persistent)
            self.end_behind_request()

    def request_failed(self) -> bool:
        """Count a request that was wrong or broken off; return whether the client may go on."""
        may_go_on: bool = self.site.guard.failed(self)
        return may_go_on

    def expect_more(self) -> None:
        """Note that the client of this request will ask for more after it, as that of a push does.

        It has changed the repository then, and fails all the same if it gets no answer.
        """
        self.is_followed = True
        if self._was_ended:
            self._was_ended = self.is_last_request = False
            self.persistent = True

    def end_behind_request(self) -> None:
        """Close the connection after the request that is being answered, which says so."""
        self.is_last_request = True
        self.persistent = False

    # --- called by the guard -----------------------------------------------------------------

    def look(self) -> Look:
        """Return what the connection waits for."""
        if self._waits_for_tls:
            return Look(Wait.HANDSHAKE)
        unsent = not_taken(self.transport)
        number, requests = self.requests_begun, self.requests
        wait, is_paused, received = Wait.NOTHING, False, 0
        if self._refused is not None or self.transport.disconnecting:
            wait = Wait.CLOSE
        elif self.rest:
            wait = Wait.NOTHING
        elif not requests:
            wait = Wait.HEAD if unfinished_line(self) else Wait.NEXT_REQUEST
        elif getattr(requests[-1], "response", None) is None:
            wait = Wait.HEAD
        elif requests[-1].body.state in COMING:
            body = requests[-1].body
            wait, is_paused, received = Wait.BODY, body.take_was_paused(), body.received
        return Look(wait, number, is_paused, received, self.written, unsent, held_by(self))

    def expire(self, expiry: Expiry) -> None:
        """End a request that is not complete in time, or too large, or a connection without one."""
        if expiry.name in _REFUSED and self.requests:
            self.requests[-1].body.refuse(busy(f"the request is {expiry.shown}", RETRY))
        elif expiry.name == "body_rate":
            shown = f"the request body is {expiry.shown}\n"
            self.requests[-1].body.refuse(text(408, b"Request Timeout", shown.encode("ascii")))
        elif expiry.name == "head_seconds":
            shown = f"the head of the request is {expiry.shown}\n"
            late = text(408, b"Request Timeout", shown.encode("ascii"))
            self.refuse_head(late, unfinished_line(self))
        else:
            self.loseConnection()

    def abort(self) -> None:
        """Close the connection without a word."""
        self.transport.abortConnection()

    def drain(self, now: float) -> None:
        """Close between requests; after a push, when its client asks for nothing more."""
        if self.transport.disconnecting or self._refused is not None:
            return
        self.is_draining = True
        if not is_between_requests(self):
            if self.requests and not self.is_followed:
                self.end_behind_request()
            return
        if self.is_followed:
            if self._quiet is None or self._quiet[0] != self.requests_begun:
                self._quiet = self.requests_begun, now
            if now - self._quiet[1] < _FOLLOWING:
                return
        self.loseConnection()

    def _identify(self) -> None:
        self._is_identified = True
        self._waits_for_tls = False
        if self._refused is None:
            self._refuse(self.site.guard.identify(self, self.transport.getPeer()))

    def _refuse(self, refusal: Refusal | None) -> None:
        """Refuse a connection too many, with a response where no handshake is in front of it."""
        if refusal is None:
            return
        self._refused = 0
        if self._waits_for_tls or refusal.is_silent:
            self.abort()
            return
        failed = refusal.name == "failed_requests"
        response = busy(refusal.shown, refusal.retry)
        if failed:
            response = replace(response, status=429, reason=b"Too Many Requests")
        write_refusal(self.transport, response)
        if self.isSecure():
            self.loseConnection()
        else:
            # What the client sends meanwhile is read: else it might lose the response.
            self.transport.loseWriteConnection()

    def _drop(self, size: int) -> None:
        self._refused = (self._refused or 0) + size
        if self._refused > self.site.limits.drained_body:
            self.abort()
