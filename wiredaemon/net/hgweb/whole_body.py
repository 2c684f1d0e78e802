"""Sends a body that was received whole to a worker, as fast as the worker reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from wiredaemon.net.cache.clones import WebStream

_PIECE: Final = 64 * 1024
"""Bytes that are sent at once, and copied for that."""


@implementer(IPushProducer)
class WholeBody:
    """A body, of which nothing is let go before all of it was sent.

    Args:
        content: The body.
    """

    def __init__(self, content: bytearray | memoryview) -> None:
        self._content = content
        self._stream: WebStream | None = None
        self._sent = 0
        self._is_paused = False

    def __len__(self) -> int:
        """Return the bytes that are held."""
        return len(self._content)

    def send_to(self, stream: WebStream) -> None:
        """Send it; the worker pauses and resumes this."""
        self._stream = stream
        stream.watch_input(self)
        self.resumeProducing()

    def drop(self) -> None:
        """Let it go."""
        self._content = bytearray()
        self._stream = None

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop sending: the worker has enough for now."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Send until it is paused, or all is sent."""
        self._is_paused = False
        while (stream := self._stream) is not None and not self._is_paused:
            piece = bytes(self._content[self._sent : self._sent + _PIECE])
            self._sent += len(piece)
            if self._sent >= len(self._content):
                self.drop()
            stream.send_data(piece, end=self._stream is None)

    def stopProducing(self) -> None:
        """Let it go: the worker has gone."""
        self.drop()
