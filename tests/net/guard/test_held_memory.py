from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.net.guard.held_memory import HeldMemory
from wiredaemon.net.guard.machine_memory import machine_memory
from wiredaemon.net.guard.waits import NOTHING_HELD, Held
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.net.guard.waits import Expiry

KIB: Final = 1024
# Connections: the account asks nothing of them.
A: Any = "a"
B: Any = "b"
C: Any = "c"


class Account:
    """An account, and what it has ended."""

    def __init__(self, **limits: int) -> None:
        self.ends: list[tuple[str, object, str]] = []
        self.memory = HeldMemory(Limits(**limits), self._refuse, self._cut_off)

    def _refuse(self, connection: Any, expiry: Expiry) -> None:
        self.ends.append(("refuse", connection, expiry.name))

    def _cut_off(self, connection: Any, expiry: Expiry) -> None:
        self.ends.append(("cut off", connection, expiry.name))


def test_without_a_number_a_quarter_of_the_memory_may_be_held() -> None:
    assert Account().memory.most == machine_memory() // 4


def test_what_is_told_is_counted_and_little_growth_is_left_to_the_next_look() -> None:
    memory = Account().memory
    memory.tell(A, Held(100 * KIB, 80 * KIB))
    memory.tell(B, Held(70 * KIB))
    memory.tell(B, Held(80 * KIB))
    assert (memory.size, memory.unfinished) == (170 * KIB, 80 * KIB)
    memory.count(B, Held(80 * KIB))
    assert memory.size == 180 * KIB
    memory.tell(B, NOTHING_HELD)
    memory.forget(A)
    assert (memory.size, memory.unfinished, A in memory, B in memory) == (0, 0, False, False)


def test_of_unfinished_requests_the_largest_is_refused() -> None:
    account = Account(unfinished_bytes=300 * KIB)
    account.memory.tell(A, Held(200 * KIB, 200 * KIB))
    account.memory.tell(B, Held(400 * KIB))  # logged in
    account.memory.tell(C, Held(150 * KIB, 150 * KIB))
    assert account.ends == [("refuse", A, "unfinished_bytes")]
    assert account.memory.unfinished == 150 * KIB


def test_many_that_hold_little_each_are_refused_when_they_are_looked_at() -> None:
    account = Account(unfinished_bytes=310 * KIB)
    for number in range(7):
        connection: Any = number
        account.memory.tell(connection, Held(50 * KIB, 50 * KIB))
        account.memory.count(connection, Held(50 * KIB + number, 50 * KIB + number))
    assert account.ends == [("refuse", 6, "unfinished_bytes")]


def test_beyond_the_limit_a_request_that_grows_is_refused_and_an_answer_is_not() -> None:
    account = Account(held_memory=1000 * KIB)
    account.memory.tell(A, Held(900 * KIB))
    account.memory.tell(A, Held(1050 * KIB))
    assert account.ends == []
    account.memory.tell(B, Held(100 * KIB, 100 * KIB))
    assert account.ends == [("refuse", B, "held_memory")]


def test_far_beyond_the_limit_the_connection_that_holds_most_is_closed() -> None:
    account = Account(held_memory=1000 * KIB)
    account.memory.count(A, Held(600 * KIB))
    account.memory.count(B, Held(500 * KIB))
    assert account.ends == []
    account.memory.count(C, Held(101 * KIB))
    assert account.ends == [("cut off", A, "held_memory")]
    assert account.memory.size == 601 * KIB


def test_other_bounds_count_from_the_next_growth_on() -> None:
    account = Account(held_memory=1000 * KIB)
    account.memory.tell(A, Held(900 * KIB))
    account.memory.use(Limits(held_memory=500 * KIB))
    account.memory.count(B, Held(1))
    assert account.ends == [("cut off", A, "held_memory")]
