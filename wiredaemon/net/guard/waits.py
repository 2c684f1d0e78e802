"""Waits of connections: their kinds, and how long each may take.

A connection is looked at about once a second. It keeps no timers and no times, only counters; what
has changed between two looks tells how long it has been waiting.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.limits import Limits


class Wait(IntEnum):
    """A kind of wait."""

    NOTHING = auto()
    """The peer waits for us."""
    HANDSHAKE = auto()
    """TLS is not ready."""
    HEAD = auto()
    """The head of an HTTP request has begun."""
    BODY = auto()
    """The body of an HTTP request has not ended."""
    NEXT_REQUEST = auto()
    """Nothing of the next HTTP request has arrived."""
    FRAME_HEADER = auto()
    """The header of a frame has begun."""
    REQUEST = auto()
    """A request, or a frame, has begun on a raw connection."""
    NEXT_FRAME = auto()
    """Nothing of the next frame has arrived on a raw connection, and no command runs."""
    LIFE = auto()
    """Nothing arrives on a raw connection with a session, whatever its commands do."""
    PONG = auto()
    """Nothing has arrived there since we have sent a ping."""
    CLOSE = auto()
    """We have closed our side."""


FIELDS: Final[Mapping[Wait, str]] = {
    Wait.HANDSHAKE: "tls_handshake_seconds",
    Wait.HEAD: "head_seconds",
    Wait.NEXT_REQUEST: "keep_alive_seconds",
    Wait.FRAME_HEADER: "frame_header_seconds",
    Wait.REQUEST: "request_seconds",
    Wait.NEXT_FRAME: "raw_idle_seconds",
    Wait.LIFE: "session_ping_seconds",
    Wait.PONG: "session_pong_seconds",
    Wait.CLOSE: "close_seconds",
}
"""The field of `Limits` that bounds each wait. A body has a rate instead."""


class Held(NamedTuple):
    """The bytes that a peer makes a connection hold."""

    size: int = 0
    """All of it: requests, command data, bodies, and output that waits in this process."""
    unfinished: int = 0
    """The part in requests and bodies of arguments that have not ended; 0 for a peer who has
    logged in."""


NOTHING_HELD: Final = Held()


class Look(NamedTuple):
    """The facts of one connection when it is looked at."""

    wait: Wait
    number: int = 0
    """Differs from the last look's if that wait has ended and another of the kind has begun."""
    is_paused: bool = False
    """We have not read from the peer all the time since the last look."""
    received: int = 0
    """Bytes of the body so far."""
    written: int = 0
    """Bytes written to the transport since it was opened."""
    unsent: int = 0
    """Bytes of them that the peer has not taken; 0 if none is left in this process."""
    held: Held = NOTHING_HELD


class Expiry(NamedTuple):
    """A limit that a connection has crossed by waiting."""

    name: str
    """The field of `Limits`."""
    value: float
    shown: str
    """The text for the peer."""


class Patience:
    """Measures how long one connection has waited for its peer."""

    __slots__ = ("_number", "_received", "_slow", "_stalled", "_taken", "_wait", "_waited", "_was")

    def __init__(self) -> None:
        self._wait = Wait.NOTHING
        self._number = 0
        self._waited = 0.0
        """Seconds of the wait, or for a body of the window in which its rate is measured."""
        self._received = 0
        """Bytes of the body at the beginning of that window, the first of which begins with it."""
        self._stalled = 0.0
        """Seconds in which no byte of output was taken."""
        self._slow: float | None = None
        """Seconds of the window in which its rate is measured; None while no output waits."""
        self._taken = self._was = 0
        """Bytes that the peer had taken at the last look, and at the beginning of that window."""

    def expired(self, look: Look, elapsed: float, limits: Limits) -> Expiry | None:
        """Return the limit that the connection has crossed, if any.

        Args:
            look: The facts now.
            elapsed: Seconds since the last look.
            limits: Their bounds.
        """
        if look.unsent:
            # The peer must take our output first: it may be waiting for that itself.
            return self._output_expired(look, elapsed, limits)
        self._slow = None
        if look.wait is not self._wait or look.number != self._number:
            self._wait, self._number = look.wait, look.number
            self._waited, self._received = 0.0, 0
        elif look.wait is not Wait.NOTHING and not look.is_paused:
            self._waited += elapsed
            return self._input_expired(look, limits)
        return None

    def _input_expired(self, look: Look, limits: Limits) -> Expiry | None:
        if look.wait is Wait.BODY:
            return self._body_expired(look, limits)
        name = FIELDS[look.wait]
        most: float = getattr(limits, name)
        if self._waited < most:
            return None
        return Expiry(name, most, f"not complete within {most:g} s ({name})")

    def _body_expired(self, look: Look, limits: Limits) -> Expiry | None:
        if self._waited < limits.body_rate_seconds:
            return None
        came = look.received - self._received
        self._waited, self._received = 0.0, look.received
        if came >= limits.body_rate * limits.body_rate_seconds:
            return None
        shown = f"slower than {limits.body_rate} B/s (body_rate)"
        return Expiry("body_rate", limits.body_rate, shown)

    def _output_expired(self, look: Look, elapsed: float, limits: Limits) -> Expiry | None:
        taken = look.written - look.unsent
        if self._slow is None:
            self._stalled = self._slow = 0.0
            self._taken = self._was = taken
            return None
        self._stalled = 0.0 if taken != self._taken else self._stalled + elapsed
        self._taken = taken
        self._slow += elapsed
        if self._stalled >= limits.answer_stalled_seconds:
            most = limits.answer_stalled_seconds
            shown = f"nothing of the answer was taken for {most:g} s (answer_stalled_seconds)"
            return Expiry("answer_stalled_seconds", most, shown)
        if self._slow < limits.answer_rate_seconds:
            return None
        came = taken - self._was
        self._slow, self._was = 0.0, taken
        if came >= limits.answer_rate * limits.answer_rate_seconds:
            return None
        shown = f"the answer was taken slower than {limits.answer_rate} B/s (answer_rate)"
        return Expiry("answer_rate", limits.answer_rate, shown)
