"""Sends the frames of a connection: few writes for many requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wiredaemon.client.idle_timer import IdleTimer
    from wiredaemon.client.runtime import Runtime
    from wiredaemon.client.wire import Wire
    from wiredaemon.protocol import ClientConnection


class FrameWriter:
    """Hands the frames that a connection has made to its transport."""

    __slots__ = (
        "_connection",
        "_has_rest",
        "_is_flushing",
        "_runtime",
        "_silence",
        "_wire",
        "is_over",
    )

    def __init__(
        self, connection: ClientConnection, wire: Wire, runtime: Runtime, silence: IdleTimer
    ) -> None:
        """Begin with nothing sent.

        Args:
            connection: Makes the frames.
            wire: Sends them.
            runtime: Has turns.
            silence: Is touched whenever something is sent.
        """
        self._connection = connection
        self._wire = wire
        self._runtime = runtime
        self._silence = silence
        self._is_flushing = False
        """Frames that are made now leave together, in the loop's next turn."""
        self._has_rest = False
        """There are such frames."""
        self.is_over = False
        """Nothing is sent any more."""

    def flush(self) -> None:
        """Send the frames: the first of a turn of the loop at once, others together after it.

        64 calls that are started side by side are two writes so, and not 64.
        """
        if self._is_flushing:
            self._has_rest = True
        else:
            # First, so that the server has it while we go on.
            self.write()
            self._is_flushing = True
            self._runtime.call_soon(self._flush_rest)

    def ping(self) -> None:
        """Ask the server for a sign of life; only in a session."""
        self._connection.send_ping(b"")
        self.flush()

    def _flush_rest(self) -> None:
        self._is_flushing = False
        if self._has_rest:
            self._has_rest = False
            self.write()

    def write(self) -> None:
        """Send all frames that wait."""
        parts = [] if self.is_over else self._connection.parts_to_send()
        if parts:
            if self._silence.timer is not None:
                self._silence.touch()
            self._wire.write(parts)
