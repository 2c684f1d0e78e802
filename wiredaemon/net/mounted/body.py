"""Feeds the whole body of an ordinary site's request to a receiver, as fast as that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.http.request_body import BodyReceiver
    from wiredaemon.net.http.responses import HttpResponse

_PIECE: Final = 64 * 1024
"""Bytes that are fed in one turn: as much as one read of a connection of our own may have."""


class Content(Protocol):
    """A body in memory, or in a file: what Twisted's requests have."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; return its offset."""


class MountedBody:
    """A body that has arrived.

    Args:
        content: All of it.
        turns: Shares the time of the reactor with others.
    """

    def __init__(self, content: Content, turns: Turns) -> None:
        self._content = content
        self._turns = turns
        self._receiver: BodyReceiver | None = None
        self._is_paused = False
        self._is_waiting = False
        """A turn of the reactor will come in which it goes on."""
        self._is_feeding = False
        self.declared = content.seek(0, 2)
        """Bytes of it."""
        self._left = self.declared
        content.seek(0)

    def claim(self, receiver: BodyReceiver) -> None:
        """Pass the body to a receiver."""
        self._receiver = receiver
        self._is_paused = False
        self._feed()

    def pause(self) -> None:
        """Pass nothing on for now."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._wait()

    def held(self) -> tuple[int, int]:
        """Return the bytes that the receiver holds, and those of them in what has not ended."""
        return (0, 0) if self._receiver is None else self._receiver.held()

    def refuse(self, response: HttpResponse) -> None:
        """Let the receiver end the request with a fixed response, if there is a receiver."""
        if self._receiver is not None:
            self._receiver.refuse(response)

    def connection_lost(self) -> None:
        """Notify the receiver that the client has gone."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost()

    def stop(self) -> None:
        """Forget the receiver: the request is finished."""
        self._receiver = None

    def _wait(self) -> None:
        # While it is being fed, `_feed` looks at the pause itself.
        if not self._is_waiting and not self._is_feeding and self._receiver is not None:
            self._is_waiting = True
            self._turns.wait(self._go_on)

    def _go_on(self) -> None:
        self._is_waiting = False
        self._feed()

    def _feed(self) -> None:
        """Pass a piece on, and the rest in later turns."""
        receiver = self._receiver
        if self._is_paused or receiver is None or self._left < 0:
            return
        self._is_feeding = True
        try:
            if self._left:
                piece = self._content.read(_PIECE)
                self._left -= len(piece)
                receiver.receive_data(piece)
            # It may have answered, or wait for room, by now.
            if not self._left and self._receiver is receiver and not self._is_paused:
                self._left = -1
                receiver.receive_end()
        finally:
            self._is_feeding = False
        if self._left >= 0 and not self._is_paused:
            self._wait()
