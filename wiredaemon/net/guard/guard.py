"""Guards all connections of the daemon: how many there are, and how long each may wait.

One timer looks at all connections in turn; they have none of their own. Looking at one takes 1.7 us
over HTTP and 2.6 on a raw connection, so a thousand of them take 0.3 % of a processor.

Source: reliability, section 3.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from twisted.logger import Logger

from wiredaemon.net.guard.call_counts import CallCounts
from wiredaemon.net.guard.clients import client_key
from wiredaemon.net.guard.command_threads import CommandThreads
from wiredaemon.net.guard.crash_log import CrashLog
from wiredaemon.net.guard.failures import FailedRequests
from wiredaemon.net.guard.forwarded import ForwardedRequests
from wiredaemon.net.guard.held_memory import HeldMemory
from wiredaemon.net.guard.limit_hits import LimitHits
from wiredaemon.net.guard.turns import Turns
from wiredaemon.net.guard.waits import FIELDS, Patience
from wiredaemon.net.peer import show_address
from wiredaemon.net.repeated_lines import RepeatedLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.guard.waits import Expiry, Look
    from wiredaemon.wire.limits import Limits

_OFTEN: Final = 1.0
"""Seconds between two looks at a connection."""
_LOOKS: Final = 4
"""Looks in the shortest time that a limit names, where that is shorter."""
_SLICE: Final = 256
"""Connections looked at in one turn of the reactor: 0.7 ms at the most."""
_RETRY: Final = 10
"""Seconds after which a client that was refused may come again: what others hold ends by then."""


_TOLD: Final = 64
"""Refused connections that may stay open for a moment, until their peers have read why."""


class Guarded(Protocol):
    """A connection that a `ConnectionGuard` looks at."""

    def look(self) -> Look:
        """Return what the connection waits for now."""

    def expire(self, expiry: Expiry) -> None:
        """End the connection, or the request: it has waited too long, or holds too much.

        It is called again if the connection goes on to wait.
        """

    def abort(self) -> None:
        """Close the connection without a word: its peer takes nothing."""

    def drain(self, now: float) -> None:
        """Close the connection if nothing is owed to its peer, and begin nothing new.

        It is called several times a second, with the reactor's time, until the connection is lost.
        """


class Refusal(NamedTuple):
    """Why a connection is refused."""

    name: str
    """The field of `Limits`."""
    shown: str
    """The text for the peer."""
    retry: int
    """Seconds after which it may try again."""
    is_silent: bool
    """So many refused connections are open that this one is not told."""


class _Entry:
    """The books of one connection."""

    __slots__ = ("address", "client", "connection", "is_refused", "patience")

    def __init__(self, connection: Guarded, address: Any) -> None:  # noqa: ANN401 any IAddress
        self.connection = connection
        self.address = address
        self.client: str | None = None
        self.is_refused = False
        self.patience = Patience()


class ConnectionGuard:
    """Counts the connections of all listeners, and ends those that wait too long.

    Args:
        reactor: Tells the time and calls back.
        limits: The bounds.
        is_exempt: Whether connections from an address are not counted for it, because it is a
            trusted proxy's. Loopback and Unix sockets never are.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        limits: Limits,
        *,
        is_exempt: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._reactor = reactor
        self.memory = HeldMemory(limits, self._end, self._cut_off)
        """The bytes that the peers of all connections make the daemon hold."""
        self.hits = LimitHits(reactor)
        self.calls = CallCounts()
        """The numbers of commands that were admitted so far."""
        self.forwarded = ForwardedRequests(self.hits, limits.connections_per_address)
        """The requests of clients behind trusted proxies."""
        self._bound(limits, is_exempt)
        self.crashes = CrashLog(reactor)
        self.failed_connections = RepeatedLines(reactor, self._log_connections)
        """Counts raw connections that fail in the same way."""
        self.failed_requests = RepeatedLines(reactor, self._log_requests)
        """Counts requests over HTTP that fail in the same way."""
        self.turns = Turns(reactor)
        """The turns of all connections."""
        self.threads = CommandThreads(reactor, limits)
        """The threads of blocking commands."""
        self._failures = FailedRequests(limits, reactor)
        self._entries: dict[Guarded, _Entry] = {}
        self._of_client: Counter[str] = Counter()
        """Open connections of each client."""
        self.refused = 0
        """Refused connections that are still open."""
        self.opened = 0
        """Connections that were opened so far, refused ones among them."""
        self.written = 0
        """Bytes that were sent on the connections that are closed."""
        self.requests = 0
        """Requests over HTTP that came on the connections that are closed."""
        self._looked: float = 0.0
        self._timer: IDelayedCall | None = None

    def use(self, limits: Limits, is_exempt: Callable[[Any], bool]) -> None:
        """Use other bounds from now on; failures are counted by the first ones."""
        self.memory.use(limits)
        self._bound(limits, is_exempt)

    def _bound(self, limits: Limits, is_exempt: Callable[[Any], bool]) -> None:
        self._limits = limits
        self._is_exempt = is_exempt
        self.forwarded.most = limits.connections_per_address
        waits = [getattr(limits, name) for name in FIELDS.values()]
        waits += [limits.body_rate_seconds, limits.answer_rate_seconds]
        waits.append(limits.answer_stalled_seconds)
        self._interval = min(_OFTEN, min(waits) / _LOOKS)

    def _log_connections(self, text: str) -> None:
        self._log.info("connections failed: {line}", line=text)

    def _log_requests(self, text: str) -> None:
        self._log.error("requests failed: {line}", line=text)

    def stop(self) -> None:
        """End the threads and the lines that are counted; connections must have ended."""
        self.threads.end()
        self.crashes.stop()
        self.failed_connections.stop()
        self.failed_requests.stop()

    # --- connections -------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._entries)

    @property
    def clients(self) -> int:
        """The number of addresses that open connections are counted for."""
        return len(self._of_client)

    @property
    def most(self) -> int:
        """The number of connections that may be open."""
        return self._limits.connections

    def connections(self) -> list[Guarded]:
        """Return the open connections, those that were opened first in front."""
        return list(self._entries)

    def open(self, connection: Guarded, address: Any) -> Refusal | None:  # noqa: ANN401 any IAddress
        """Count a new connection, and return why it is refused, if it is."""
        if self._timer is None:
            self._looked = self._reactor.seconds()
            self._timer = self._reactor.callLater(self._interval, self._look)
        self.opened += 1
        entry = self._entries[connection] = _Entry(connection, address)
        most = self._limits.connections
        if len(self._entries) - self.refused > most:
            return self._refuse(entry, "connections", most, "there are %d connections already")
        return self._enter(entry, address)

    def identify(self, connection: Guarded, address: Any) -> Refusal | None:  # noqa: ANN401 any IAddress
        """Note whom a connection comes from, when its first bytes have arrived.

        Behind ``haproxy:`` nobody knows before, and it was counted as the proxy's.
        """
        entry = self._entries.get(connection)
        if entry is None or entry.address == address:
            return None
        self._leave(entry)
        return self._enter(entry, address)

    def close(self, connection: Guarded, *, written: int = 0, requests: int = 0) -> None:
        """Forget a connection that is closed.

        Args:
            connection: The connection.
            written: Bytes that were sent on it.
            requests: Requests over HTTP that came on it.
        """
        entry = self._entries.pop(connection, None)
        if entry is not None:
            self.written += written
            self.requests += requests
            self._leave(entry)
            self.refused -= entry.is_refused
            self.memory.forget(connection)
        if not self._entries and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def failed(self, connection: Guarded) -> bool:
        """Count a request that failed or was broken off; return whether the client may go on."""
        entry = self._entries.get(connection)
        if entry is None or entry.client is None or self._failures.count(entry.client):
            return True
        self.hits.hit("failed_requests", self._limits.failed_requests, show_address(entry.address))
        return False

    def _enter(self, entry: _Entry, address: Any) -> Refusal | None:  # noqa: ANN401 any IAddress
        entry.address = address
        client = None if self._is_exempt(address) else client_key(address)
        if client is None:
            return None
        entry.client = client
        self._of_client[client] += 1
        most = self._limits.connections_per_address
        if self._of_client[client] > most:
            shown = "there are %d connections from this address already"
            return self._refuse(entry, "connections_per_address", most, shown)
        wait = self._failures.seconds_to_wait(client)
        if wait:
            shown = "more than %d requests from this address have failed or were broken off"
            most = self._limits.failed_requests
            return self._refuse(entry, "failed_requests", most, shown, retry=int(wait) + 1)
        return None

    def _refuse(
        self, entry: _Entry, name: str, most: int, shown: str, *, retry: int = _RETRY
    ) -> Refusal:
        self.hits.hit(name, most, show_address(entry.address))
        entry.is_refused = True
        self.refused += 1
        shown = f"{shown % most} ({name}); try again in {retry} s"
        return Refusal(name, shown, retry, self.refused > _TOLD)

    def _leave(self, entry: _Entry) -> None:
        client, entry.client = entry.client, None
        if client is not None:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    # --- looking -----------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at all connections, the first of them now."""
        self._timer = None
        now = self._reactor.seconds()
        # Time in which this process did not run, or by which the clock was set, is nobody's wait.
        elapsed = min(max(now - self._looked, 0.0), 2 * self._interval)
        self._looked = now
        self.memory.room.look(self.memory.size)
        self._look_at(list(self._entries.values()), 0, elapsed)

    def _look_at(self, entries: list[_Entry], begin: int, elapsed: float) -> None:
        self._timer = None
        end = begin + _SLICE
        for entry in entries[begin:end]:
            if entry.connection in self._entries:
                self._look_at_one(entry, elapsed)
        if not self._entries:
            return  # the next connection makes a timer
        if end < len(entries):
            self._timer = self._reactor.callLater(0, self._look_at, entries, end, elapsed)
        else:
            self._timer = self._reactor.callLater(self._interval, self._look)

    def _look_at_one(self, entry: _Entry, elapsed: float) -> None:
        connection = entry.connection
        try:
            look = connection.look()
            self.memory.count(connection, look.held)
            expiry = entry.patience.expired(look, elapsed, self._limits)
            if expiry is None:
                return
            if expiry.name in _HARMLESS and not look.unsent:
                connection.expire(expiry)
            elif look.unsent or expiry.name in _SILENT:
                self._cut_off(connection, expiry)
            else:
                self._end(connection, expiry)
        except Exception:  # noqa: BLE001 the others must be looked at all the same
            self._log.failure("a connection could not be looked at")
            connection.abort()

    def _end(self, connection: Guarded, expiry: Expiry) -> None:
        self._hit(connection, expiry)
        connection.expire(expiry)

    def _cut_off(self, connection: Guarded, expiry: Expiry) -> None:
        self._hit(connection, expiry)
        connection.abort()

    def _hit(self, connection: Guarded, expiry: Expiry) -> None:
        entry = self._entries.get(connection)
        peer = "a peer" if entry is None else show_address(entry.address)
        self.hits.hit(expiry.name, expiry.value, peer)


_HARMLESS: Final = frozenset({"session_ping_seconds"})
"""Limits after which the peer is only asked for a sign of life."""
_SILENT: Final = frozenset({"tls_handshake_seconds", "close_seconds"})
"""Limits whose crossing cannot be told to the peer."""
