"""What a worker answers: one value that is decoded here, or a stream that is only passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.spooled_queue import PieceQueue
from wiredaemon.protocol import RemoteProtocolError, ResponseReader
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.net.workers.spooled_queue import SpoolBudget
    from wiredaemon.wire.limits import Limits

_HANDED_OVER: Final = 256 * 1024
"""Bytes of a stream that its reader is given at once."""


class WorkerAnswer(Protocol):
    """Takes what a worker says to one command."""

    def receive(self, data: bytes) -> None:
        """Take the content of a frame.

        Raises:
            RemoteProtocolError: It is no answer.
        """

    def check_end(self) -> None:
        """Say that the answer is complete.

        Raises:
            RemoteProtocolError: It is not.
        """

    def finish(self) -> None:
        """Tell who waits; the worker may have its next command already."""

    def fail(self, error: Exception) -> None:
        """Tell who waits that the command failed."""


class ValueAnswer:
    """One value."""

    def __init__(self, limits: Limits) -> None:
        """Hold the answer until it is complete; ``worker_result`` bounds it."""
        self._reader = ResponseReader(limits, size_limit=limits.worker_result)
        self._objects: list[object] = []
        self.result: Deferred[object] = Deferred()
        """Fires with the value, or fails with `CommandError` or `ServerError`."""

    def receive(self, data: bytes) -> None:
        """Decode it."""
        self._objects += self._reader.receive_data(data)

    def check_end(self) -> None:
        """See that it ends with an object."""
        self._reader.receive_end()

    def finish(self) -> None:
        """Give the value."""
        error = self._reader.error
        if error is not None:
            self.fail(CommandError(error.message, error.arguments))
        elif len(self._objects) != 1:
            self.fail(ServerError(f"{len(self._objects)} results instead of one"))
        else:
            self.result.callback(self._objects.pop())

    def fail(self, error: Exception) -> None:
        """Give the error."""
        self.result.errback(error)


class Feed(Protocol):
    """The worker as a stream sees it."""

    def pause_output(self) -> None:
        """Read no more of its answer for now."""

    def resume_output(self) -> None:
        """Read on."""

    def send_data(self, data: bytes, *, end: bool) -> None:
        """Give it command data."""

    def break_data(self) -> None:
        """Tell it that its command data ends before it is complete."""

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume who sends command data as it takes them, until they end."""


class WorkerStream:
    """Objects as the worker encodes them, frame by frame, bounded and with back-pressure.

    Args:
        feed: The worker.
        limits: ``worker_stream_buffer``.
        budget: Of what is spooled.
        has_data: Command data is to be sent.
        on_full: Called when the reader has fallen behind so far that the worker is paused.
        on_left: Called when the reader leaves before the end.
    """

    def __init__(  # noqa: PLR0913 its surroundings
        self,
        feed: Feed,
        limits: Limits,
        budget: SpoolBudget,
        *,
        has_data: bool,
        on_full: Callable[[], None],
        on_left: Callable[[], None],
    ) -> None:
        self._feed = feed
        self._limits = limits
        self._queue = PieceQueue(limits.worker_stream_buffer, budget)
        self._sends_data = has_data
        self._on_full = on_full
        self._on_left = on_left
        self._status: ResponseReader | None = None
        """Reads an answer that does not begin with the ok map."""
        self._has_begun = False
        self._waiting: Deferred[None] | None = None
        self._error: Exception | None = None
        self._ended = False
        self._closed = False
        self._paused = False
        self.taken = 0
        """Bytes that the reader has had."""

    # --- the reader --------------------------------------------------------------------------

    async def read(self) -> list[bytes]:
        """Give what has come, as pieces that the worker had in one frame each; none at the end.

        Raises:
            CommandError, ServerError: The command failed.
        """
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._ended:
                return []
            self._waiting = Deferred()
            await self._waiting
        try:
            pieces = self._queue.take(_HANDED_OVER)
        except OSError as error:
            raise ServerError(f"the answer cannot be read back: {error.strerror}") from error
        self.taken += sum(map(len, pieces))
        self._resume()
        return pieces

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume ``producer``, which sends command data, as the worker takes them."""
        if self._sends_data:
            self._feed.watch_input(producer)

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Give the worker command data; dropped once the worker has answered all."""
        if self._sends_data:
            self._sends_data = not end
            self._feed.send_data(data, end=end)

    def break_data(self) -> None:
        """Say that the rest of the command data never comes."""
        if self._sends_data:
            self._sends_data = False
            self._feed.break_data()

    def close(self) -> None:
        """Take no more: to be called in any case."""
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        self.break_data()
        if not self._ended:
            self._resume()
            self._on_left()

    # --- falling behind ----------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """The worker waits for the reader."""
        return self._paused

    def spool(self) -> None:
        """Let what the reader has not had go to a file, so that the worker is free soon."""
        self._queue.may_spool = True
        self._resume()

    def _resume(self) -> None:
        if self._paused and (self._closed or self._queue.has_room):
            self._paused = False
            self._feed.resume_output()

    # --- the worker --------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take the content of a frame."""
        if not self._has_begun:
            self._receive_status(data)
        elif data and not self._closed:
            self._hold(data)

    def _receive_status(self, data: bytes) -> None:
        """Take the ok map, which has a frame of its own, or what may be an error map."""
        if self._status is None and data == OK_MAP:
            self._has_begun = True
            return
        if self._status is None:
            self._status = ResponseReader(self._limits, size_limit=self._limits.frame_payload)
        if self._status.receive_data(data):
            message = "the worker's answer has objects and no ok map"
            raise RemoteProtocolError(message, malformed=True)

    def _hold(self, data: bytes) -> None:
        try:
            self._queue.append(data)
        except OSError as error:
            self._error = ServerError(f"the answer cannot be spooled: {error.strerror}")
            self.close()
            self._wake()
            return
        if not self._paused and self._queue.is_full:
            self._paused = True
            self._feed.pause_output()
            self._on_full()
        self._wake()

    def check_end(self) -> None:
        """See that there was a status."""
        if self._status is not None:
            self._status.receive_end()
        elif not self._has_begun:
            message = "the worker's answer is incomplete"
            raise RemoteProtocolError(message, malformed=True)

    def finish(self) -> None:
        """Say that all has come."""
        error = None if self._status is None else self._status.error
        if error is not None:
            self.fail(CommandError(error.message, error.arguments))
            return
        self._end()

    def fail(self, error: Exception) -> None:
        """Say that no more comes, and why."""
        if self._ended:
            return
        self._error = self._error or error
        self._end()

    def _end(self) -> None:
        self._ended = True
        # The worker has its next command: what is left to read is nothing to it.
        self._paused = self._sends_data = False
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
