"""Commands of every kind, and the dialects and duplexes that an exchange is tested in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import Responding, failures
from twisted.internet.defer import Deferred, succeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from twisted.logger import LogEvent

    from wiredaemon.protocol import ServerConnection

DIALECTS: Final = ("0003", "0005", "0006")
KIB: Final = 1024
OBJECT: Final = bytes(32 * KIB)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
both_duplexes = pytest.mark.parametrize("half_duplex", [True, False], ids=["half", "full"])


def taken_failures(events: list[LogEvent]) -> list[LogEvent]:
    """Return the errors logged so far and forget them."""
    found = failures(events)
    events.clear()
    return found


def plain(_: Any) -> bytes:
    return b"plain"


async def at_once(_: Any) -> bytes:
    return b"at once"


async def after_a_fired_deferred(_: Any) -> bytes:
    return await succeed(b"fired")


def fired_deferred(_: Any) -> Deferred[bytes]:
    return succeed(b"deferred")


def generated(_: Any) -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def generated_nothing(_: Any) -> Iterator[bytes]:
    yield from ()


async def generated_asynchronously(_: Any) -> AsyncIterator[bytes]:
    yield b"one"
    yield await succeed(b"two")


KINDS: Final[dict[Callable[..., Any], tuple[bytes, ...]]] = {
    plain: (b"plain",),
    at_once: (b"at once",),
    after_a_fired_deferred: (b"fired",),
    fired_deferred: (b"deferred",),
    generated: (b"one", b"two"),
    generated_nothing: (),
    generated_asynchronously: (b"one", b"two"),
}


def crashes(_: Any) -> bytes:
    raise ValueError("secret")


class Objects:
    """A generator of objects that counts how many were taken."""

    def __init__(self, total: int | None = None) -> None:
        self.taken = 0
        self.total = total

    def objects(self, _: Any) -> Iterator[bytes]:
        while self.total is None or self.taken < self.total:
            self.taken += 1
            yield OBJECT

    async def awaited(self, context: Any) -> AsyncIterator[bytes]:
        for value in self.objects(context):
            yield value


class Ended:
    """The end of an exchange as a Deferred."""

    def __init__(self, run: Responding) -> None:
        self.deferred: Deferred[None] = Deferred()
        finished = run.transport.responses_finished

        def ended(connection: ServerConnection) -> None:
            finished(connection)
            self.deferred.callback(None)

        run.transport.responses_finished = ended  # type: ignore[method-assign]
