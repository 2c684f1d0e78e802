"""The output that each connection may have."""

from __future__ import annotations

from wiredaemon.net.guard.held_memory import HeldMemory
from wiredaemon.net.guard.output_room import PLENTY, SCARCE, OutputRoom
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


def test_room_shrinks_while_all_connections_hold_much_and_grows_again() -> None:
    limits = Limits(output_high=100_000)
    memory = HeldMemory(limits, _no, _no)
    first, second = _Connection(), _Connection()
    memory.count(first, Held(PLENTY))
    assert memory.room.high == 100_000
    memory.count(second, Held(1))
    assert memory.room.high == SCARCE
    memory.count(first, NOTHING_HELD)
    assert memory.room.high == 100_000
    memory.count(first, Held(2 * PLENTY))
    assert memory.room.high == SCARCE
    memory.forget(first)
    assert memory.room.high == 100_000


def test_room_is_never_larger_than_the_limit() -> None:
    room = OutputRoom(Limits(output_high=1000))
    room.fit(PLENTY + 1)
    assert room.high == 1000


def test_other_limits_count_at_once() -> None:
    memory = HeldMemory(Limits(output_high=100_000), _no, _no)
    memory.use(Limits(output_high=50_000))
    assert memory.room.high == 50_000
