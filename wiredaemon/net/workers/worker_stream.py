"""An answer that is a stream of objects, which is only passed on to its reader.

Owns what lies between the worker and the reader: the buffer, the spool and back-pressure.
"""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.spooled_queue import PieceQueue
from wiredaemon.protocol import LocalProtocolError, RemoteProtocolError, ResponseReader
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.net.workers.spooled_queue import SpoolBudget
    from wiredaemon.wire.limits import Limits

_READ_SIZE: Final = 256 * 1024
"""Bytes of a stream that its reader gets at once, about.

With less, a clone spends its time in the generators between here and the socket; with more, a slow
reader's transport holds more than ``worker_stream_buffer`` was meant to allow.
"""


class StreamState(Enum):
    """The state of a stream between its worker and its reader."""

    WAITING = auto()
    """The worker has not begun to answer."""
    FLOWING = auto()
    """Objects come from the worker."""
    PAUSED = auto()
    """The buffer is full: the worker waits for the reader."""
    LEFT = auto()
    """The reader has left; further output of the worker is dropped."""
    ENDED = auto()
    """The worker has ended its answer; the reader may still read what is held."""
    CLOSED = auto()
    """Both have gone."""


class StreamInput(Enum):
    """The events of a stream."""

    BEGIN = auto()
    """The worker has said that the command succeeds."""
    FILL = auto()
    """No more may be held."""
    DRAIN = auto()
    """More may be held again."""
    END = auto()
    """The answer has ended, or the command failed."""
    LEAVE = auto()
    """The reader reads no more."""
    RESTART = auto()
    """Another worker begins the answer anew; the reader has read nothing of it."""


_S, _I = StreamState, StreamInput

TRANSITIONS: Final[Mapping[tuple[StreamState, StreamInput], StreamState]] = MappingProxyType(
    {
        (_S.WAITING, _I.BEGIN): _S.FLOWING,
        (_S.WAITING, _I.END): _S.ENDED,
        (_S.WAITING, _I.LEAVE): _S.LEFT,
        (_S.WAITING, _I.RESTART): _S.WAITING,
        (_S.FLOWING, _I.RESTART): _S.WAITING,
        (_S.PAUSED, _I.RESTART): _S.WAITING,
        (_S.FLOWING, _I.FILL): _S.PAUSED,
        (_S.FLOWING, _I.END): _S.ENDED,
        (_S.FLOWING, _I.LEAVE): _S.LEFT,
        (_S.PAUSED, _I.DRAIN): _S.FLOWING,
        (_S.PAUSED, _I.END): _S.ENDED,
        (_S.PAUSED, _I.LEAVE): _S.LEFT,
        (_S.LEFT, _I.END): _S.CLOSED,
        (_S.ENDED, _I.LEAVE): _S.CLOSED,
    }
)


def advance(state: StreamState, seen: StreamInput) -> StreamState:
    """Return the state that follows.

    Raises:
        LocalProtocolError: The input cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, seen]
    except KeyError:
        message = f"a stream cannot see {seen.name} while it is {state.name}"
        raise LocalProtocolError(message) from None


class Feed(Protocol):
    """The worker, as a stream sees it."""

    def pause_output(self) -> None:
        """Read no more of the worker's output for now."""

    def resume_output(self) -> None:
        """Read the worker's output again."""

    def send_data(self, data: bytes, *, end: bool) -> None:
        """Send command data; with ``end`` their last piece."""

    def break_data(self) -> None:
        """Notify the worker that its command data end before they are complete."""

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume the producer of command data as the worker reads, until they end."""


class WorkerStream:
    """Objects as the worker encodes them, frame by frame, bounded and with back-pressure.

    Args:
        feed: The worker.
        limits: ``worker_stream_buffer``.
        budget: Bounds what all streams together may spool.
        has_data: Command data are to be sent.
        on_full: Called when so much is held that the worker is paused.
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
        self._reading: Deferred[None] | None = None
        """Wakes the reader."""
        self._error: Exception | None = None
        self.state = StreamState.WAITING
        self.taken = 0
        """Bytes that the reader has read."""
        self.frames = 0
        """Frames that have come from the worker."""

    # --- the reader --------------------------------------------------------------------------

    async def read(self) -> list[bytes]:
        """Return what has come, as the pieces of one frame each; an empty list at the end.

        Raises:
            CommandError, ServerError: The command failed.
        """
        while not self._queue.pieces:
            if self._error is not None:
                raise self._error
            if self.state in {StreamState.ENDED, StreamState.CLOSED}:
                return []
            self._reading = Deferred()
            await self._reading
        try:
            pieces = self._queue.take(_READ_SIZE)
        except OSError as error:
            raise ServerError(f"the answer cannot be read back: {error.strerror}") from error
        self.taken += sum(map(len, pieces))
        self._resume()
        return pieces

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume ``producer``, which sends command data, as the worker reads them."""
        if self._sends_data:
            self._feed.watch_input(producer)

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Send the worker command data; they are dropped once the worker has ended its answer."""
        if self._sends_data:
            self._sends_data = not end
            self._feed.send_data(data, end=end)

    def break_data(self) -> None:
        """Notify the worker that the rest of the command data never comes."""
        if self._sends_data:
            self._sends_data = False
            self._feed.break_data()

    def close(self) -> None:
        """Read no more: to be called in any case, also after the end."""
        state = self.state
        if state in {StreamState.LEFT, StreamState.CLOSED}:
            return
        self.state = advance(self.state, StreamInput.LEAVE)
        # At once: what is spooled counts against all other streams.
        self._queue.clear()
        self.break_data()
        if state is StreamState.PAUSED:
            # The worker may be nearly done; then it need not be stopped.
            self._feed.resume_output()
        if state is not StreamState.ENDED:
            self._on_left()

    @property
    def held(self) -> int:
        """The bytes that are held in memory for its reader."""
        return self._queue.held

    @property
    def is_unread(self) -> bool:
        """The answer goes on, and its reader has read nothing of it."""
        return not self.taken and (self.state, StreamInput.RESTART) in TRANSITIONS

    def restart(self, feed: Feed) -> None:
        """Drop what has come of an unread answer: another worker answers."""
        self.state = advance(self.state, StreamInput.RESTART)
        self._queue.clear()
        self._status = None
        self._feed = feed

    def spool(self) -> None:
        """Let what the reader has not read go to a file, so that the worker is free soon."""
        self._queue.spool()
        self._resume()

    def _resume(self) -> None:
        if self.state is StreamState.PAUSED and self._queue.has_room:
            self.state = advance(self.state, StreamInput.DRAIN)
            self._feed.resume_output()

    # --- the worker --------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Receive the content of a frame."""
        self.frames += 1
        match self.state:
            case StreamState.WAITING:
                self._receive_status(data)
            case StreamState.FLOWING | StreamState.PAUSED if data:
                self._hold(data)
            case _:
                pass

    def _receive_status(self, data: bytes) -> None:
        """Receive the ok map, which has a frame of its own, or what may be an error map."""
        # Compared, not decoded: all but failed commands begin with these very bytes.
        if self._status is None and data == OK_MAP:
            self.state = advance(self.state, StreamInput.BEGIN)
            return
        if self._status is None:
            self._status = ResponseReader(self._limits, size_limit=self._limits.frame_payload)
        if self._status.receive_data(data):
            message = "the worker's answer has objects and no ok map"
            raise RemoteProtocolError(message, malformed=True)

    def _hold(self, data: bytes) -> None:
        self._queue.append(data)
        # One read of the pipe may bring more frames after it was paused.
        if self.state is StreamState.FLOWING and self._queue.is_full:
            self.state = advance(self.state, StreamInput.FILL)
            self._feed.pause_output()
            # Only now others may be kept waiting by this stream's reader.
            self._on_full()
        self._wake()

    def check_end(self) -> None:
        """Check that there was a status."""
        if self.state is not StreamState.WAITING:
            return
        if self._status is None:
            message = "the worker's answer is incomplete"
            raise RemoteProtocolError(message, malformed=True)
        self._status.receive_end()

    @property
    def refusal(self) -> CommandError | None:
        """The error that a complete answer is."""
        error = None if self._status is None else self._status.error
        return None if error is None else CommandError(error.message, error.arguments)

    def finish(self) -> None:
        """End a complete answer."""
        # The first error counts: it is the cause of later ones.
        self._error = self._error or self.refusal
        self._end()

    def fail(self, error: Exception) -> None:
        """End an answer that is not complete."""
        if self.state in {StreamState.ENDED, StreamState.CLOSED}:
            return
        self._error = self._error or error
        self._end()

    def _end(self) -> None:
        # The worker is free for its next command, which reading what is held must neither pause
        # nor resume, nor send data to.
        self.state = advance(self.state, StreamInput.END)
        self._sends_data = False
        self._wake()

    def _wake(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.callback(None)
