"""The output that each connection may have."""

from __future__ import annotations

from wiredaemon.net.guard.held_memory import HeldMemory
from wiredaemon.net.guard.output_room import PLENTY, RELAXED, SCARCE, OutputRoom
from wiredaemon.net.guard.waits import NOTHING_HELD, Expiry, Held, Look, Wait
from wiredaemon.wire.limits import Limits


class _Connection:
    """A connection that holds what the test says."""

    def look(self) -> Look:
        return Look(Wait.NEXT_FRAME)

    def expire(self, expiry: Expiry) -> None:
        raise AssertionError(expiry)

    def abort(self) -> None:
        raise AssertionError

    def drain(self, now: float) -> None:
        raise AssertionError(now)


def _no(connection: object, expiry: Expiry) -> None:
    raise AssertionError(connection, expiry)


def test_room_shrinks_when_all_connections_hold_much_and_grows_again_some_time_later() -> None:
    limits = Limits(output_high=100_000)
    memory = HeldMemory(limits, _no, _no)
    room = memory.room
    first, second = _Connection(), _Connection()
    memory.count(first, Held(PLENTY))
    assert (room.high, room.is_scarce) == (100_000, False)
    memory.count(second, Held(1))
    assert (room.high, room.is_scarce) == (SCARCE, True)
    for _ in range(RELAXED):
        room.look(memory.size)
    assert room.is_scarce
    memory.forget(second)
    for _ in range(RELAXED - 1):
        room.look(memory.size)
        assert room.is_scarce
    # Much once more begins the time anew.
    memory.count(second, Held(1))
    memory.count(first, NOTHING_HELD)
    for _ in range(RELAXED - 1):
        room.look(memory.size)
        assert room.is_scarce
    room.look(memory.size)
    assert (room.high, room.is_scarce) == (100_000, False)


def test_room_is_never_larger_than_the_limit() -> None:
    room = OutputRoom(Limits(output_high=1000))
    room.fit(PLENTY + 1)
    assert room.high == 1000


def test_other_limits_count_at_once() -> None:
    memory = HeldMemory(Limits(output_high=100_000), _no, _no)
    memory.use(Limits(output_high=50_000))
    assert memory.room.high == 50_000
