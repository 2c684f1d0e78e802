from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.commands import CommandError
from wiredaemon.net.responding.command_data import IncomingData

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Taken:
    """Counts the calls of ``on_taken``."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


def start(coroutine: Coroutine[Any, Any, Any]) -> tuple[list[object], Deferred[None]]:
    """Run a coroutine; what it gave or how it failed comes into the list."""
    results: list[object] = []
    deferred = Deferred.fromCoroutine(coroutine)
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results, deferred


def give(data: IncomingData, piece: bytes) -> None:
    """Add a piece and let who waits go on, as a connection's input does behind each read."""
    data.hold(piece)
    data.wake()


async def collect(data: IncomingData) -> list[bytes]:
    return [piece async for piece in data]


def test_pieces_come_as_they_arrived_and_each_is_told() -> None:
    taken = Taken()
    data = IncomingData(taken)
    one, three = b"one" * 100, b"three" * 100
    give(data, one)
    give(data, three)
    assert (data.size, data.received, taken.count) == (800, 800, 0)
    results, _ = start(collect(data))
    assert (data.size, data.received, taken.count) == (0, 800, 2)
    give(data, b"!")
    assert taken.count == 3
    assert results == []
    data.receive_end()
    assert results == [[one, three, b"!"]]
    assert (data.size, data.received) == (0, 801)


def test_tiny_pieces_that_wait_are_joined() -> None:
    taken = Taken()
    data = IncomingData(taken)
    for number in range(2000):
        give(data, b"%03d" % (number % 1000))
    assert (data.size, data.received) == (6000, 6000)
    results, _ = start(collect(data))
    data.receive_end()
    pieces: list[bytes]
    [pieces] = cast("list[list[bytes]]", results)
    assert b"".join(pieces) == b"".join(b"%03d" % (number % 1000) for number in range(2000))
    assert {len(piece) for piece in pieces[:-1]} == {513}
    assert taken.count == len(pieces) == 12


def test_read_gives_the_rest() -> None:
    data = IncomingData(Taken())
    results, _ = start(data.read())
    give(data, b"one")
    give(data, b"two")
    data.receive_end()
    assert results == [b"onetwo"]
    assert start(data.read())[0] == [b""]


def test_data_without_pieces_is_empty() -> None:
    data = IncomingData(Taken())
    data.receive_end()
    assert start(data.read())[0] == [b""]


def test_an_abort_is_raised_behind_the_pieces_that_came_and_stays() -> None:
    data = IncomingData(Taken())
    give(data, b"one")
    data.abort("100% lost")
    assert data.ended
    assert start(data.__anext__())[0] == [b"one"]
    for _ in range(2):
        (error,) = start(data.read())[0]
        assert isinstance(error, CommandError)
        assert str(error) == "100% lost"


def test_an_abort_behind_the_end_changes_nothing() -> None:
    data = IncomingData(Taken())
    give(data, b"one")
    data.receive_end()
    data.abort("late")
    assert start(data.read())[0] == [b"one"]


def test_an_abort_wakes_who_waits() -> None:
    data = IncomingData(Taken())
    results, _ = start(data.read())
    data.abort("gone")
    assert isinstance(results[0], CommandError)


def test_what_is_discarded_is_forgotten() -> None:
    data = IncomingData(Taken())
    give(data, b"one")
    data.close()
    assert data.size == 0
    data.receive_end()
    assert start(data.read())[0] == [b""]


@pytest.mark.parametrize("is_reading", [False, True])
def test_who_reads_cancelled_data_is_cancelled(*, is_reading: bool) -> None:
    data = IncomingData(Taken())
    results: list[object] = []
    if is_reading:
        results, _ = start(data.read())
    else:
        give(data, b"waits")
    data.cancel()
    assert data.size == 0
    if is_reading:
        assert isinstance(results[0], CancelledError)
    for _ in range(2):
        assert isinstance(start(data.read())[0][0], CancelledError)


def test_cancelling_a_reader_leaves_the_data_usable() -> None:
    data = IncomingData(Taken())
    results, reading = start(data.read())
    reading.cancel()
    assert isinstance(results[0], CancelledError)
    give(data, b"one")
    data.receive_end()
    assert start(data.read())[0] == [b"one"]
