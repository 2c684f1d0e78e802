"""The commands of the daemon in the pictures; it loads this file by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from wiredaemon.commands import Argument, ArgumentType, Permission, command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from wiredaemon.commands import Context


@command(
    "greet",
    permission=Permission.RO,
    arguments={
        "name": Argument(type=ArgumentType.TEXT, example="world"),
        "times": Argument(type=ArgumentType.INT, default=1),
    },
)
def greet(context: Context, name: str, times: int) -> Iterator[str]:
    """Return greetings.

    Each of them is an object of its own.
    """
    for number in range(times):
        context.write_text("greeting number %s\n", str(number + 1))
        yield f"hello {name}"


@command(
    "weather",
    permission=Permission.RO,
    arguments={"places": Argument(type=ArgumentType.LIST, elements=ArgumentType.TEXT)},
)
def weather(_context: Context, places: list[str]) -> Iterator[dict[bytes, object]]:
    """Give the weather of some places."""
    for number, place in enumerate(places):
        yield {b"place": place, b"celsius": 17 - number, b"rain": number > 0}


@command("export", permission=Permission.RO)
async def export(context: Context) -> AsyncIterator[str]:
    """Export all files."""
    # The picture is taken while it waits.
    context.progress("export", 1, 20, label="files")
    # A bar is not drawn more often than one can see.
    await deferLater(context.reactor, 0.3)
    context.progress("export", 12, 20, label="files", item="images.tar")
    await Deferred()
    yield "never"


@command("rename", permission=Permission.RW, arguments={"to": Argument(type=ArgumentType.TEXT)})
def rename(_context: Context, to: str) -> str:
    """Rename what is there."""
    return to
