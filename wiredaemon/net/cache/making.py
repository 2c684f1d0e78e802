"""An answer on its way from a worker into a file, where others wait for it.

The worker is read as fast as it answers, however slow the client is: that one reads the file behind
it. Where the file can hold no more, the client reads the worker itself, as if nothing were kept.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.reading import FileReader
from wiredaemon.net.cache.recording import IDENTITY
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.cached_repository import ObjectStream
    from wiredaemon.net.cache.keys import Keys
    from wiredaemon.net.cache.recording import Recording

# Mercurial says with 200 that it cannot do something, in some hundred bytes: that may change
# without any file, and is quick to be asked again.
SMALLEST: Final = 2048
"""Bytes of the smallest answer that is kept."""
_WHOLE: Final = b"application/mercurial-0."
"""The beginning of the media types of answers that are no error."""
_HEAD: Final = Limits()


class MakingState(IntEnum):
    """The place where the parts of an answer go."""

    RECORDING = auto()
    """It goes into the file."""
    DIRECT = auto()
    """It goes to the client alone."""
    OVER = auto()
    """All of it is in the file, or it failed."""


class Making:
    """One answer that is being made.

    Args:
        cache: Takes the answer.
        keys: Its keys.
        recording: The file, of which nothing was written.
        ask: Asks a worker.
        is_valid: Tells at the end whether the answer is that of its keys.

    Raises:
        OSError: There are no descriptors left.
    """

    def __init__(
        self,
        cache: ResponseCache,
        keys: Keys,
        recording: Recording,
        ask: Callable[[], Awaitable[ObjectStream]],
        is_valid: Callable[[], bool],
    ) -> None:
        self._cache = cache
        self._keys = keys
        self._recording = recording
        self._ask = ask
        self._is_valid = is_valid
        self._file = FileReader(recording.open_reader())
        self._state = MakingState.RECORDING
        self._written = 0
        """Bytes of the file that can be read."""
        self._taken = 0
        """Bytes of them that the client has taken."""
        self._held: list[bytes] = []
        """The parts that have come and did not go into the file."""
        self._stream: ObjectStream | None = None
        self._error: Exception | None = None
        self._reader: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._has_client = True
        self._running: Deferred[None] | None = None

    def start(self, ended: Callable[[], None]) -> None:
        """Ask the worker.

        Args:
            ended: Is called when the answer is kept, or will not be.
        """
        self._running = Deferred.fromCoroutine(self._run())

        def end(_: object) -> None:
            ended()
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

        self._running.addBoth(end)

    async def wait(self, seconds: float, clock: object) -> None:
        """Wait until the answer is kept, or will not be; no longer than some seconds."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(seconds, clock, onTimeoutCancel=_went_by)  # type: ignore[arg-type]
        try:
            await waiting
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._stop_if_unwanted()

    # --- the worker's answer -----------------------------------------------------------------

    async def _run(self) -> None:
        try:
            self._stream = await self._ask()
            await self._record(self._stream)
        except CancelledError:
            self._error = ServerError("nobody waits for the answer")
        except Exception as error:  # noqa: BLE001 it is the client's to tell
            self._error = error
        if self._state is MakingState.DIRECT:
            self._cache.drop(self._recording)
            self._wake()
            if not self._has_client:
                self._leave()
            return
        self._leave()
        is_whole = self._error is None and self._written >= SMALLEST and self._is_valid()
        self._state = MakingState.OVER
        self._wake()
        if is_whole:
            await self._cache.keep(self._recording, self._keys, IDENTITY, may_redirect=False)
        else:
            self._cache.drop(self._recording)

    async def _record(self, stream: ObjectStream) -> None:
        is_first = True
        while parts := await stream.read():
            if not is_first or _is_whole(parts):
                self._cache.write(self._recording, parts)
            else:
                self._recording.drop()
            if not self._recording.is_going_on:
                self._held = parts
                self._state = MakingState.DIRECT
                return
            is_first = False
            self._written = self._recording.size
            self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(None)

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _stop_if_unwanted(self) -> None:
        if self._has_client or self._waiting or self._running is None:
            return
        if self._state is MakingState.RECORDING:
            self._running.cancel()
        elif self._state is MakingState.DIRECT:
            self._leave()

    # --- the client that asked first ---------------------------------------------------------

    async def read(self) -> list[bytes]:
        """Return the next part of the answer; an empty list at the end.

        Raises:
            Exception: As the worker's stream raises it.
        """
        while True:
            if self._taken < self._written:
                return [await self._read_file()]
            if self._held:
                held, self._held = self._held, []
                return held
            if self._error is not None:
                raise self._error
            if self._state is MakingState.OVER:
                return []
            if self._state is MakingState.DIRECT and self._stream is not None:
                return await self._stream.read()
            self._reader = Deferred()
            await self._reader

    async def _read_file(self) -> bytes:
        most = self._written - self._taken
        try:
            piece = await self._cache.in_thread(lambda: self._file.read(most))
        except OSError as error:
            raise ServerError("the answer broke off; asking again helps") from error
        if not piece:
            raise ServerError("the answer broke off; asking again helps")
        self._taken += len(piece)
        return piece

    def close(self) -> None:
        """Note that the client takes no more."""
        if not self._has_client:
            return
        self._has_client = False
        self._file.close()
        self._stop_if_unwanted()

    # A reading command takes no data: its arguments are sent by those who ask the worker.

    def watch_input(self, producer: object) -> None:
        """Do nothing: no data are wanted."""

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        """Drop the bytes of a body after its arguments."""


def _went_by(_result: object, _seconds: float) -> None:
    """Let a wait end that has taken too long."""


def _is_whole(parts: list[bytes]) -> bool:
    """Return whether an answer begins like one that may be kept."""
    reader = ItemReader(DIALECTS["0006"].cbor, _HEAD)
    for part in parts:
        for head in reader.receive_data(part):
            match head:
                case {b"status": 200, b"headers": list() as headers}:
                    return any(
                        name.lower() == b"content-type" and value.startswith(_WHOLE)
                        for name, value in headers
                    )
            return False
    return False
