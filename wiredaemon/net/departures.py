"""Notices that a peer has left while we read nothing from it.

A transport that is paused does not see the end of its input, which waits behind what was not read.
So the system is asked for the state of paused sockets, all at once and once a second.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

CHECK_SECONDS: Final = 1.0
"""Seconds between two looks: within them a place in a queue is free again, and 1,000 sockets cost
0.2 ms."""

_INPUT_ENDED: Final[int] = getattr(select, "POLLRDHUP", 0)
"""The peer has closed its sending side; without it (not Linux) only a connection that is broken is
noticed."""


class Departures:
    """Watches paused sockets.

    Args:
        reactor: The reactor, for the timer.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._poll = select.poll()
        self._watched: dict[Any, tuple[int, Callable[[], object]]] = {}
        """Descriptor and action by transport, which may have closed its socket meanwhile."""
        self._timer: IDelayedCall | None = None

    def watch(self, transport: Any, *, may_half_close: bool) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Abort the connection of ``transport`` when its peer has left, until it is forgotten.

        Args:
            transport: A paused one; of one without a socket, in a test, nothing can be known.
            may_half_close: A peer may close its sending side and still read our answers.
        """
        fileno = getattr(transport, "fileno", None)
        if fileno is None or transport in self._watched:
            return
        descriptor = fileno()
        if descriptor < 0:
            return
        self._watched[transport] = descriptor, transport.abortConnection
        # Errors and the end of both sides are always reported.
        self._poll.register(descriptor, 0 if may_half_close else _INPUT_ENDED)
        if self._timer is None:
            self._timer = self._reactor.callLater(CHECK_SECONDS, self._check)

    def forget(self, transport: Any) -> None:  # noqa: ANN401 the same
        """Watch a transport no more, if it is watched: it is read again, or closed."""
        watched = self._watched.pop(transport, None)
        if watched is not None:
            self._poll.unregister(watched[0])

    def _check(self) -> None:
        self._timer = None
        left = {descriptor for descriptor, _ in self._poll.poll(0)}
        for transport, (descriptor, leave) in list(self._watched.items()):
            if descriptor in left:
                self.forget(transport)
                leave()
        if self._watched:
            self._timer = self._reactor.callLater(CHECK_SECONDS, self._check)


@implementer(IPushProducer)
class WatchedInput:
    """The input of one connection, whose peer is watched while it is paused.

    Args:
        transport: The connection's transport.
        departures: Watches it.
    """

    __slots__ = ("_departures", "_transport")

    def __init__(self, transport: Any, departures: Departures) -> None:  # noqa: ANN401 the same
        self._transport = transport
        self._departures = departures

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._transport.pauseProducing()
        self._departures.watch(self._transport, may_half_close=False)

    def resumeProducing(self) -> None:
        """Read again."""
        self._departures.forget(self._transport)
        self._transport.resumeProducing()

    def forget(self) -> None:
        """Watch the peer no more: the connection is closed."""
        self._departures.forget(self._transport)

    def stopProducing(self) -> None:
        """Close the connection."""
        self._transport.stopProducing()

    def unregisterProducer(self) -> None:
        """Let the transport know that its producer, an HTTP channel, writes no more."""
        self._transport.unregisterProducer()
