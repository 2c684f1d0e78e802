from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import ensure_deferred, make_origin
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.net.guard.command_threads import CommandThreads
from wiredaemon.net.responding.blocking import BlockingContext, BlockingRepository, run_in_thread
from wiredaemon.net.responding.command_data import IncomingData
from wiredaemon.net.responding.context import CommandContext
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

END: Final = object()
threads: Final = CommandThreads(reactor, Limits())
MEGABYTE: Final = bytes(1024 * 1024)


class Batches:
    """Takes batches, in the reactor's thread."""

    def __init__(self) -> None:
        self.taken: list[list[Any]] = []

    def deliver(self, objects: Sequence[Any], *, is_slow: bool) -> None:  # noqa: ARG002 of Deliver
        assert threading.current_thread() is threading.main_thread()
        self.taken.append(list(objects))


def never(_: Sequence[Any], *, is_slow: bool) -> None:  # noqa: ARG001 of Deliver
    raise AssertionError("nothing is to be delivered")


def context(data: IncomingData | None = None) -> CommandContext:
    pieces = data or IncomingData(lambda: None)
    return CommandContext(make_origin("0006"), pieces, Permission.RO)


@ensure_deferred
async def test_a_function_gives_its_result_from_another_thread() -> None:
    result = await run_in_thread(threads, threading.current_thread, never, END)
    assert result is not threading.main_thread()


@ensure_deferred
async def test_an_error_of_a_function_is_the_deferreds() -> None:
    def fails() -> None:
        raise CommandError("no")

    with pytest.raises(CommandError, match="no"):
        await run_in_thread(threads, fails, never, END)


@ensure_deferred
async def test_a_generator_runs_in_the_thread_and_its_objects_come_in_batches() -> None:
    def objects() -> Iterator[int]:
        assert threading.current_thread() is not threading.main_thread()
        yield from range(130)

    batches = Batches()
    assert await run_in_thread(threads, objects, batches.deliver, END) is END
    # On a slow machine some are taken before there are as many.
    assert max(len(batch) for batch in batches.taken) <= 64
    assert [value for batch in batches.taken for value in batch] == list(range(130))


@ensure_deferred
async def test_large_objects_make_small_batches() -> None:
    batches = Batches()
    await run_in_thread(threads, lambda: (MEGABYTE for _ in range(3)), batches.deliver, END)
    assert [len(batch) for batch in batches.taken] == [1, 1, 1]


def no_objects() -> Iterator[bytes]:
    yield from ()


@ensure_deferred
async def test_a_generator_without_objects_delivers_nothing() -> None:
    assert await run_in_thread(threads, no_objects, never, END) is END


@ensure_deferred
async def test_the_thread_waits_until_there_is_room() -> None:
    taken: list[int] = []
    came: list[Deferred[None]] = [Deferred(), Deferred(), Deferred()]
    room: list[Deferred[None]] = [Deferred(), Deferred(), Deferred()]

    def objects() -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield MEGABYTE

    def deliver(_: Sequence[Any], *, is_slow: bool) -> Deferred[None]:
        assert not is_slow
        came[len(taken) - 1].callback(None)
        return room[len(taken) - 1]

    ended = run_in_thread(threads, objects, deliver, END)
    for number in range(3):
        await came[number]
        assert taken == list(range(number + 1))
        room[number].callback(None)
    assert await ended is END


@ensure_deferred
async def test_a_refused_delivery_closes_the_generator_in_its_thread() -> None:
    closed_in: list[threading.Thread] = []

    def objects() -> Iterator[bytes]:
        try:
            while True:
                yield MEGABYTE
        finally:
            closed_in.append(threading.current_thread())

    def refuse(_: Sequence[Any], *, is_slow: bool) -> None:  # noqa: ARG001 of Deliver
        raise ServerError("full")

    with pytest.raises(ServerError, match="full"):
        await run_in_thread(threads, objects, refuse, END)
    assert len(closed_in) == 1
    assert closed_in[0] is not threading.main_thread()


@ensure_deferred
async def test_a_generators_error_comes_behind_its_objects() -> None:
    def objects() -> Iterator[bytes]:
        yield MEGABYTE
        raise CommandError("no more")

    batches = Batches()
    with pytest.raises(CommandError, match="no more"):
        await run_in_thread(threads, objects, batches.deliver, END)
    assert len(batches.taken) == 1


@ensure_deferred
async def test_the_context_of_a_blocking_command_shows_the_request() -> None:
    inner = context()
    blocking = BlockingContext(inner, reactor)
    assert blocking.peer is inner.peer
    assert blocking.permission is Permission.RO
    before = blocking.cancelled
    inner.cancelled = True
    assert (before, blocking.cancelled) == (False, True)
    with pytest.raises(ServerError):
        _ = blocking.repository


@ensure_deferred
async def test_data_blocks_until_it_comes() -> None:
    taken: list[Deferred[None]] = [Deferred(), Deferred()]
    waiting = iter(taken)
    data = IncomingData(lambda: next(waiting).callback(None))
    blocking = BlockingContext(context(data), reactor)
    pieces = deferToThread(list, blocking.data)
    data.hold(b"one")
    data.wake()
    await taken[0]
    data.hold(b"two")
    data.wake()
    await taken[1]
    data.receive_end()
    assert await pieces == [b"one", b"two"]
    assert await deferToThread(blocking.data.read) == b""


@ensure_deferred
async def test_data_that_ends_too_early_raises_in_the_thread() -> None:
    data = IncomingData(lambda: None)
    blocking = BlockingContext(context(data), reactor)
    data.hold(b"one")
    data.wake()
    data.abort("lost")
    with pytest.raises(CommandError, match="lost"):
        await deferToThread(blocking.data.read)


class Streamed:
    """A repository with a stream of three objects."""

    def __init__(self) -> None:
        self.closed_in: list[threading.Thread] = []

    def call(self, command: bytes, arguments: Any) -> Any:
        raise AssertionError((command, arguments))

    async def stream(self, command: bytes, arguments: Any) -> AsyncGenerator[Encoded, None]:
        assert (command, arguments) == (b"filesdata", {})
        try:
            for number in range(3):
                later: Deferred[None] = Deferred()
                reactor.callLater(0, later.callback, None)
                await later
                yield Encoded([b"%d" % number])
        finally:
            self.closed_in.append(threading.current_thread())


@pytest.mark.parametrize("taken", [1, 3])
@ensure_deferred
async def test_a_stream_is_an_ordinary_iterator_that_ends_where_it_began(taken: int) -> None:
    streamed = Streamed()
    repository = BlockingRepository(streamed, reactor)

    def read() -> list[object]:
        with closing(repository.stream(b"filesdata", {})) as objects:
            return [piece for piece, _ in zip(objects, range(taken), strict=False)]

    pieces = await deferToThread(read)
    assert pieces == [Encoded([b"%d" % number]) for number in range(taken)]
    assert streamed.closed_in == [threading.main_thread()]
