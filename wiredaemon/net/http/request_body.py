"""The body of one HTTP request: kept, received or drained, and paused while its reader is slow.

Owns the state of the body and the pauses of the connection's input.

Source: http, section 1.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.limits import Limits


class BodyReceiver(Protocol):
    """Receives the body of a request."""

    def receive_data(self, data: bytes) -> None:
        """Receive the next bytes."""

    def receive_end(self) -> None:
        """Note that the body is complete."""

    def connection_lost(self) -> None:
        """Note that the client has gone: nothing follows."""

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""

    def refuse(self, response: HttpResponse) -> None:
        """End the request with a fixed response: its body comes too slowly, or is too much."""


# IntEnum, whose hash is that of its number: a look-up in the table calls no Python function
# (findings/enum-members-hash-in-python.sh).


class BodyState(IntEnum):
    """The state of a body: how much has arrived, and where its bytes go."""

    UNDECIDED = auto()
    """The request is still being decided: bytes that arrive are kept, and reading is paused."""
    UNDECIDED_COMPLETE = auto()
    """The request is still being decided, and all bytes have arrived."""
    RECEIVED = auto()
    """A receiver gets the bytes."""
    DRAINED = auto()
    """The response is complete: the rest of the body is counted and dropped."""
    COMPLETE = auto()
    """All bytes have arrived and none is kept."""
    LOST = auto()
    """The client has gone."""


class BodyInput(IntEnum):
    """The events that change the state of a body."""

    CLAIM = auto()
    """A receiver claims the body."""
    ANSWER = auto()
    """The response is complete."""
    END = auto()
    """The last byte has arrived."""
    LOSE = auto()
    """The connection is lost."""


_S, _I = BodyState, BodyInput
TRANSITIONS: Final[Mapping[tuple[BodyState, BodyInput], BodyState]] = {
    (_S.UNDECIDED, _I.CLAIM): _S.RECEIVED,
    (_S.UNDECIDED, _I.ANSWER): _S.DRAINED,
    (_S.UNDECIDED, _I.END): _S.UNDECIDED_COMPLETE,
    (_S.UNDECIDED_COMPLETE, _I.CLAIM): _S.COMPLETE,
    (_S.UNDECIDED_COMPLETE, _I.ANSWER): _S.COMPLETE,
    (_S.RECEIVED, _I.ANSWER): _S.DRAINED,
    (_S.RECEIVED, _I.END): _S.COMPLETE,
    (_S.DRAINED, _I.END): _S.COMPLETE,
    (_S.COMPLETE, _I.ANSWER): _S.COMPLETE,
    **{(state, _I.LOSE): _S.LOST for state in BodyState},
}
"""The state after each event; a missing pair is a fault of ours."""


class RequestBody:
    """The body of one request.

    Args:
        channel: The connection, whose input is paused.
        limits: ``refused_body`` and ``drain_seconds`` bound the bytes read after a response.
        reactor: Provides the timer of draining.
    """

    # Class-level defaults: most bodies arrive whole and are complete without setting them.
    state = BodyState.UNDECIDED
    """Changed by `advance` alone."""
    declared: int | None = 0
    """Bytes that the head announced; None for a chunked body, whose size is unknown."""
    received = 0
    """Bytes that have arrived."""
    ask_client: Callable[[], None] | None = None
    """Asks a client that expects to be asked for the body; None where it sends the body unasked."""
    _receiver: BodyReceiver | None = None
    _is_paused = False
    _was_paused = False
    """The client was paused at some time since `take_was_paused` was called last."""
    _drained = 0
    _drain_timer: IDelayedCall | None = None

    def __init__(self, channel: Any, limits: Limits, reactor: IReactorTime) -> None:  # noqa: ANN401 Twisted's is not annotated
        self._channel = channel
        self._limits = limits
        self._reactor = reactor
        # Most requests are decided in the turn of their head, so that no list is made for them.
        self._early: list[bytes] | None = None
        """Bytes that arrived while the request was being decided."""

    def advance(self, seen: BodyInput) -> None:
        """Change the state by an event."""
        self.state = TRANSITIONS[self.state, seen]

    # --- what arrives ------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive the next bytes from the connection."""
        self.received += len(data)
        # First, because most bodies have a receiver before their first byte arrives.
        if self._receiver is not None:
            self._receiver.receive_data(data)
        elif self.state is BodyState.DRAINED:
            self._drained += len(data)
            if self._drained > self._limits.refused_body:
                self._stop_connection()
        elif self.state is BodyState.UNDECIDED:
            if self._early is None:
                self._early = []
            self._early.append(data)
            # Each time, because TLS delivers a few records that it read before it was paused.
            self.pause()

    def receive_end(self) -> None:
        """Note that the last byte has arrived, and notify the receiver."""
        self.advance(BodyInput.END)
        if self._receiver is not None:
            self._receiver.receive_end()

    def connection_lost(self) -> None:
        """Notify the receiver that the client has gone."""
        self.advance(BodyInput.LOSE)
        self._stop_timer()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost()

    def refuse(self, response: HttpResponse) -> None:
        """Let the receiver end the request with a fixed response, if there is a receiver."""
        if self._receiver is not None:
            self._receiver.refuse(response)

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in what has not ended."""
        if self._receiver is not None:
            return self._receiver.held()
        size = sum(map(len, self._early or ()))
        return size, size

    # --- where it goes -----------------------------------------------------------------------

    def claim(self, receiver: BodyReceiver) -> None:
        """Pass the body to a receiver, from its first byte on.

        The receiver may end the request while it receives the kept bytes: the rest is dropped then.
        """
        is_complete = self.state is BodyState.UNDECIDED_COMPLETE
        self.advance(BodyInput.CLAIM)
        self._receiver = receiver
        # Before anything is passed on: the receiver may answer, which drops what is left.
        early, self._early = self._early, None
        # Resumed first: a receiver that wants no more pauses again, and must not be overruled.
        if self._is_paused:
            self.resume()
        if self.ask_client is not None and early is None:
            self.ask_client()
        for data in early or ():
            if self._receiver is receiver:
                receiver.receive_data(data)
        if is_complete and self._receiver is receiver:
            receiver.receive_end()

    @property
    def is_complete(self) -> bool:
        """Whether no byte can follow: all have arrived, or the client has gone."""
        return self.state in _ALL_HERE

    def drain(self) -> None:
        """Read and drop the rest of the body, up to a number of bytes and for a limited time.

        To close with unread input would reset the connection, and might lose the response: proxies
        in front answer 502 then.
        """
        self._receiver = self._early = None
        self.resume()
        self._drain_timer = self._reactor.callLater(
            self._limits.drain_seconds, self._stop_connection
        )

    def stop(self) -> None:
        """Forget the receiver and the timer: the request is finished."""
        self._receiver = None
        if self._drain_timer is not None:
            self._stop_timer()

    def _stop_timer(self) -> None:
        timer, self._drain_timer = self._drain_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _stop_connection(self) -> None:
        """Close a connection whose client goes on sending a body that was refused."""
        self._stop_timer()
        if self.state is not BodyState.LOST:
            self._channel.loseConnection()

    # --- pauses ------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading for now: the client waits for us.

        Where no body follows, reading goes on: otherwise we would not see that the client has gone.
        """
        if self.declared == 0 or self.state in _ALL_HERE:
            return
        self._is_paused = self._was_paused = True
        self._channel.input.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if not self._is_paused or self.state is BodyState.LOST:
            return
        self._is_paused = False
        self._channel.input.resumeProducing()

    def take_was_paused(self) -> bool:
        """Return whether the client was paused at some time since the last call."""
        was_paused, self._was_paused = self._was_paused, self._is_paused
        return was_paused


_ALL_HERE: Final = frozenset({_S.UNDECIDED_COMPLETE, _S.COMPLETE, _S.LOST})
"""The states in which no more of the body can arrive."""
