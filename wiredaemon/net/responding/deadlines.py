"""Deadlines of requests: a moment for each request that has one, and a timer while it waits.

Source: sessions, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import CommandError
from wiredaemon.net.responding.cancelling import stop_request
from wiredaemon.net.responding.failures import send_failure

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.responding.context import CommandContext
    from wiredaemon.net.responding.responder import Responder
    from wiredaemon.protocol import RequestReceived

TIMEOUT: Final = b"timeout"
"""The key of the request map."""
_MOST: Final = (1 << 31) - 1
_NONE: Final[dict[int, tuple[float, IDelayedCall]]] = {}
_PASSED: Final = b"the deadline of %s ms has passed"


class Deadlines:
    """The deadlines of one connection's requests.

    A request that is answered at once never has a timer: most are.

    Args:
        reactor: Tells the time and calls back.
    """

    __slots__ = ("_reactor", "_watched")

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        # Shared by the connections without any, which are nearly all.
        self._watched = _NONE
        """The moments and timers of requests that wait or run, by id."""

    def seconds(self) -> float:
        """Return the time of the clock that the moments are in."""
        now: float = self._reactor.seconds()
        return now

    def begin(self, event: RequestReceived) -> float:
        """Return the deadline of a request, counted from now if it has not waited.

        Raises:
            CommandError: Its timeout is none.
        """
        milliseconds = event.extra[TIMEOUT]
        if type(milliseconds) is not int or not 1 <= milliseconds <= _MOST:
            message = f"timeout must be an integer of 1 to {_MOST}, in milliseconds"
            raise CommandError(message)
        watched = self._watched.get(event.request_id)
        return self.seconds() + milliseconds / 1000 if watched is None else watched[0]

    def start(self, event: RequestReceived, context: CommandContext) -> None:
        """Tell a command its deadline. Until it is known not to end at once it has no timer.

        Raises:
            CommandError: Its timeout is none.
        """
        context.set_deadline(self.begin(event), self.seconds)
        self.forget(event.request_id)

    def hold(self, event: RequestReceived, responder: Responder) -> None:
        """Set the timer of a request that waits; a second time this changes nothing.

        A wrong timeout is refused when the request starts.
        """
        try:
            self.watch(event, self.begin(event), responder)
        except CommandError:
            return

    def watch(self, event: RequestReceived, moment: float, responder: Responder) -> None:
        """Set the timer of a request that ``responder`` will stop, if it has none."""
        if event.request_id not in self._watched:
            left = max(0.0, moment - self.seconds())
            timer = self._reactor.callLater(left, self._expire, event, responder)
            if self._watched is _NONE:
                self._watched = {}
            self._watched[event.request_id] = (moment, timer)

    def forget(self, request_id: int) -> None:
        """Note that a request is answered, or starts."""
        watched = self._watched.pop(request_id, None)
        if watched is not None:
            watched[1].cancel()

    def stop(self) -> None:
        """Note that nothing is answered any more."""
        watched, self._watched = self._watched, _NONE
        for _, timer in watched.values():
            timer.cancel()

    def _expire(self, event: RequestReceived, responder: Responder) -> None:
        del self._watched[event.request_id]
        error = CommandError(_PASSED, [str(event.extra[TIMEOUT])])

        def answer(request_id: int) -> None:
            send_failure(responder.connection, responder.transport, request_id, error)

        responder.source.forget(event.request_id)
        stop_request(responder, event.request_id, answer)
        responder.progress()
