"""Notices that a peer has left while we read nothing from it.

A transport that is paused does not see the end of its input, which waits behind what was not read.
So the system is asked for the state of paused sockets, all at once and once a second.
"""

from __future__ import annotations

import fcntl
import select
import termios
from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wiredaemon.net.closed_peers import has_closed, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

CHECK_SECONDS: Final = 1.0
"""Seconds between two looks: within them a place in a queue is free again, and 1,000 sockets cost
0.2 ms."""

_INPUT_ENDED: Final[int] = getattr(select, "POLLRDHUP", 0)
"""The peer has closed its sending side; without it (not Linux) only a connection that is broken is
noticed."""


class _Watched(NamedTuple):
    """One paused socket."""

    descriptor: int
    leave: Callable[[], object]
    """Is called when the peer has left; by then the transport may have closed its socket."""
    missing: Callable[[], int | None]
    """Returns the bytes of what the peer sends that were not read, None if nobody knows."""


class Departures:
    """Watches paused sockets.

    Args:
        reactor: The reactor, for the timer.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._poll = select.poll()
        self._watched: dict[Any, _Watched] = {}
        """By transport."""
        self._timer: IDelayedCall | None = None

    def watch(
        self,
        transport: Any,  # noqa: ANN401 zope interfaces do not intersect
        *,
        missing: Callable[[], int | None],
    ) -> None:
        """Abort the connection of ``transport`` when its peer has left, until it is forgotten.

        Args:
            transport: A paused one; of one without a socket, in a test, nothing can be known.
            missing: Returns the bytes that were not read after which a peer may close its sending
                side, and still read our answers; None if it may not, or nobody knows.
        """
        fileno = getattr(transport, "fileno", None)
        if fileno is None or transport in self._watched:
            return
        descriptor = fileno()
        if descriptor < 0:
            return
        self._watched[transport] = _Watched(descriptor, transport.abortConnection, missing)
        # Errors and the end of both sides are always reported.
        self._poll.register(descriptor, _INPUT_ENDED)
        if self._timer is None:
            self._timer = self._reactor.callLater(CHECK_SECONDS, self._check)

    def forget(self, transport: Any) -> None:  # noqa: ANN401 the same
        """Watch a transport no more, if it is watched: it is read again, or closed."""
        watched = self._watched.pop(transport, None)
        if watched is not None:
            self._poll.unregister(watched.descriptor)

    def _check(self) -> None:
        self._timer = None
        seen = dict(self._poll.poll(0))
        for transport, watched in list(self._watched.items()):
            events = seen.get(watched.descriptor)
            if events is None or (events == _INPUT_ENDED and _may_still_read(transport, watched)):
                continue
            self.forget(transport)
            watched.leave()
        if self._watched:
            self._timer = self._reactor.callLater(CHECK_SECONDS, self._check)


def _may_still_read(transport: Any, watched: _Watched) -> bool:  # noqa: ANN401 the same
    """Return whether a peer that sends nothing more may be there, because we have got all of it."""
    missing = watched.missing()
    if missing is None:
        return False
    unread = array("i", [0])
    fcntl.ioctl(watched.descriptor, termios.FIONREAD, unread)
    get_handle = getattr(transport, "getHandle", None)
    handle = None if get_handle is None else get_handle()
    if unread[0] < missing or has_closed(handle):
        return False
    probe(handle)
    return True


def nothing_missing() -> int:
    """Return the bytes that are missing of a peer that may close its sending side at any time."""
    return 0


def never_half_closed() -> None:
    """Stand for what is missing of a peer that closes its sending side only when it leaves."""


@implementer(IPushProducer)
class WatchedInput:
    """The input of one connection, whose peer is watched while it is paused.

    Args:
        transport: The connection's transport.
        departures: Watches it.
        missing: As of `Departures.watch`.
    """

    __slots__ = ("_departures", "_missing", "_transport")

    def __init__(
        self,
        transport: Any,  # noqa: ANN401 the same
        departures: Departures,
        missing: Callable[[], int | None],
    ) -> None:
        self._transport = transport
        self._departures = departures
        self._missing = missing

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._transport.pauseProducing()
        self._departures.watch(self._transport, missing=self._missing)

    def resumeProducing(self) -> None:
        """Read again."""
        self._departures.forget(self._transport)
        self._transport.resumeProducing()

    def end(self) -> None:
        """Watch the peer, of whose input nothing is left, but who may still read."""
        self._departures.forget(self._transport)
        self._departures.watch(self._transport, missing=nothing_missing)

    def forget(self) -> None:
        """Watch the peer no more: the connection is closed."""
        self._departures.forget(self._transport)

    def stopProducing(self) -> None:
        """Close the connection."""
        self._transport.stopProducing()

    def unregisterProducer(self) -> None:
        """Let the transport know that its producer, an HTTP channel, writes no more."""
        self._transport.unregisterProducer()
