"""Text and progress frames: sent while a command runs, to peers that accept them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.wire.values import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.protocol import ServerConnection


class SideOutput:
    """Sends the text and progress of one command."""

    def __init__(
        self,
        connection: ServerConnection,
        request_id: int,
        accepts: Sequence[object],
        flush: Callable[[], None],
    ) -> None:
        """Send for one request.

        Args:
            connection: Encodes the frames.
            request_id: The request's id.
            accepts: The names of the frame types that the peer accepts.
            flush: Sends the frames at once, while the command still runs.
        """
        self._connection = connection
        self._request_id = request_id
        self._accepts = accepts
        self._flush = flush

    def text(self, message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]) -> None:
        """Send a line of text with its arguments and labels."""
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
        """Send the position of the command within a topic."""
        if b"progress" in self._accepts and not self._connection.failed:
            progress = Progress(topic=topic, position=position, total=total, label=label, item=item)
            self._connection.send_progress(self._request_id, progress)
            self._flush()
