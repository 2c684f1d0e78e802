"""The answer to one call: its objects, as they come."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from wiredaemon.commands import CommandError, RawBytes, ServerError
from wiredaemon.testing.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.protocol import ObjectReader, RequestFailed, ResponseDataReceived


END: Final = object()
"""Stands for the end, after the last object."""


class Answer:
    """One answer, from which its objects are taken.

    Args:
        reader: Reads the objects.
        on_taken: Is called when the last object that has come was taken.
    """

    def __init__(self, reader: ObjectReader, on_taken: Callable[[], None]) -> None:
        self._reader = reader
        self._on_taken = on_taken
        self._objects: deque[object] = deque()
        self._error: BaseException | None = None
        self._waiting: Deferred[None] | None = None
        self.is_over = False
        """Nothing more will come."""

    @property
    def is_full(self) -> bool:
        """Objects wait to be taken."""
        return bool(self._objects)

    @property
    def is_awaited(self) -> bool:
        """Somebody waits for the next object."""
        return self._waiting is not None

    async def take(self) -> object:
        """Return the next object, or `END`.

        Raises:
            CommandError, ServerError: The command failed.
            NoAnswerError: It was not answered.
        """
        while not self._objects:
            if self._error is not None:
                raise self._error
            if self.is_over:
                return END
            self._waiting = Deferred()
            await self._waiting
        value = self._objects.popleft()
        if not self._objects:
            self._on_taken()
        return value

    # --- called by the connection ------------------------------------------------------------

    def receive(self, event: ResponseDataReceived) -> None:
        """Receive content of the response."""
        for value in self._reader.receive_event(event):
            # There is no other form of bytes to tell it from for who only calls commands.
            self._objects.append(value.data if isinstance(value, RawBytes) else value)
        if not event.end:
            self._wake()
            return
        error = self._reader.error
        if error is not None:
            self.fail(CommandError(error.message, error.arguments))
        elif self._reader.location is not None:
            self.fail(NoAnswerError("the answer is a redirect, which is not followed"))
        else:
            self.is_over = True
            self._wake()

    def receive_failure(self, event: RequestFailed) -> None:
        """Receive an error frame."""
        if event.kind == b"server":
            self.fail(ServerError(event.message))
        elif event.kind == b"protocol":
            self.fail(NoAnswerError(event.message.decode("utf-8", "replace")))
        else:
            # Its text is formatted already.
            self.fail(CommandError(event.message.replace(b"%", b"%%")))

    def fail(self, error: BaseException) -> None:
        """End the answer with an error, after the objects that have come."""
        if not self.is_over:
            self.is_over, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
