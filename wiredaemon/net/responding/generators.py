"""Generators of objects, synchronous and asynchronous: their next object, and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands.running import is_async_objects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

END: Final = object()
"""Stands in place of an object behind the last one; None is an object like others."""

_log: Final = Logger()


def close(objects: Any, command: str) -> None:  # noqa: ANN401 a generator of either kind
    """Close a generator; a failure of its clean-up is logged.

    Args:
        objects: The generator.
        command: The name of its command, for the log.
    """
    # Both kinds by a coroutine, so that one errback covers them.
    closing = _close_async(objects) if is_async_objects(objects) else _close(objects)
    Deferred.fromCoroutine(closing).addErrback(
        lambda failure: _log.failure("command {command} failed to stop", failure, command=command)
    )


async def _close(objects: Generator[Any, None, None]) -> None:
    objects.close()


async def _close_async(objects: AsyncGenerator[Any, None]) -> None:
    await objects.aclose()


async def next_of(objects: AsyncGenerator[Any, None]) -> Any:  # noqa: ANN401 whatever a command returns
    """Return the next object, or `END`."""
    # Not anext with a default, which breaks where a tuple was awaited: see findings/.
    try:
        return await anext(objects)
    except StopAsyncIteration:
        return END
