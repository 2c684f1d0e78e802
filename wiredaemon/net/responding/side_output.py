"""Text and progress: what a command says beside its result, to peers that take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.wire.values import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.protocol import ServerConnection


class SideOutput:
    """Sends what one command says beside its result."""

    def __init__(
        self,
        connection: ServerConnection,
        request_id: int,
        accepts: Sequence[object],
        flush: Callable[[], None],
    ) -> None:
        """Send for one request.

        Args:
            connection: Makes frames of it.
            request_id: Of the request.
            accepts: The names of the frame types that the peer takes.
            flush: Sends the frames at once.
        """
        self._connection = connection
        self._request_id = request_id
        self._accepts = accepts
        self._flush = flush

    def text(self, message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]) -> None:
        """Send text."""
        if b"text-output" in self._accepts and not self._connection.failed:
            self._connection.send_text(self._request_id, message, arguments, labels)
            self._flush()

    def progress(
        self,
        topic: bytes,
        position: int,
        total: int | None,
        label: bytes | None,
        item: bytes | None,
    ) -> None:
        """Send how far it is."""
        if b"progress" in self._accepts and not self._connection.failed:
            progress = Progress(topic=topic, position=position, total=total, label=label, item=item)
            self._connection.send_progress(self._request_id, progress)
            self._flush()
