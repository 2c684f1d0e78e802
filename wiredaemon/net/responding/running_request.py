"""One request on its way through the Responder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands.running import is_async_objects, step
from wiredaemon.net.responding.command_data import NO_DATA

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.commands import Command
    from wiredaemon.net.responding.command_data import IncomingData, NoData
    from wiredaemon.net.responding.context import CommandContext
    from wiredaemon.protocol import RequestReceived

END: Final = object()
"""In place of an object: there are no more."""

_log: Final = Logger()


class Job:
    """One admitted request."""

    # Of the class: most requests are answered before any of them is set.
    objects: Any = None
    """The generator that its objects come from."""
    waiting: Deferred[Any] | None = None
    """What it waits for."""
    room: Deferred[None] | None = None
    """Fires when a thread may hand over more objects."""
    turn: IDelayedCall | None = None
    """When its objects go on after those of others."""
    encoding: Deferred[None] | None = None
    """An object of it is being content encoded in a thread."""

    data: IncomingData | NoData = NO_DATA

    def __init__(self, event: RequestReceived, command: Command, context: CommandContext) -> None:
        """Begin before the command is called."""
        self.request_id = event.request_id
        self.arguments = event.arguments
        self.command = command
        self.context = context

    @property
    def is_resting(self) -> bool:
        """It has objects to give, and nothing is under way that goes on with them."""
        return (
            self.objects is not None
            and self.waiting is None
            and self.turn is None
            and self.encoding is None
        )

    @property
    def is_hungry(self) -> bool:
        """It waits for data that has not come."""
        return not self.data.ended and not self.data.size

    def next_object(self) -> Any:  # noqa: ANN401 whatever a command gives
        """Give the next object, `END`, or a `Waiting` for one of them."""
        if is_async_objects(self.objects):
            return step(_next_of(self.objects))
        return next(self.objects, END)

    def cancel(self) -> None:
        """Stop whatever it is doing."""
        self.context.cancelled = True
        if self.turn is not None and self.turn.active():
            self.turn.cancel()
        for waiting in (self.encoding, self.room, self.waiting):
            if waiting is not None:
                waiting.cancel()
        # Threads that read data wait for nothing of the above.
        self.data.cancel()
        self.close()

    def close(self) -> None:
        """Run what a generator has to do at its end, unless it waits: it is cancelled then."""
        objects = self.objects
        if objects is None or self.waiting is not None:
            return
        closing = _close_async(objects) if is_async_objects(objects) else _close(objects)
        Deferred.fromCoroutine(closing).addErrback(
            lambda failure: _log.failure(
                "command {command} failed to stop", failure, command=self.command.name
            )
        )


async def _close(objects: Generator[Any, None, None]) -> None:
    objects.close()


async def _close_async(objects: AsyncGenerator[Any, None]) -> None:
    await objects.aclose()


async def _next_of(objects: AsyncGenerator[Any, None]) -> Any:  # noqa: ANN401 whatever a command gives
    # Not anext with a default: until Python 3.12 it breaks where a tuple was waited for.
    try:
        return await anext(objects)
    except StopAsyncIteration:
        return END
