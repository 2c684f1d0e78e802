"""Generators of objects, synchronous and asynchronous: their next object, and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from wiredaemon.commands.running import is_async_objects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from twisted.python.failure import Failure

END: Final = object()
"""Stands in place of an object after the last one; None is an object like others."""


def close(objects: Any, command: str, crashed: Callable[[Failure, str], object]) -> None:  # noqa: ANN401 a generator of either kind
    """Close a generator.

    Args:
        objects: The generator.
        command: The name of its command, for the log.
        crashed: Logs a failure of its clean-up, which any peer may cause as often as it asks.
    """
    # Both kinds by a coroutine, so that one errback covers them.
    closing = _close_async(objects) if is_async_objects(objects) else _close(objects)
    Deferred.fromCoroutine(closing).addErrback(crashed, f"{command}, when it was stopped,")


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
