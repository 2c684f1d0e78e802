from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from wiredaemon.accounts.failure_buckets import FailureBuckets


@pytest.fixture
def clock() -> Clock:
    return Clock()


def buckets(
    clock: Clock, size: int = 5, seconds: float = 60.0, most: int = 3
) -> FailureBuckets[str]:
    return FailureBuckets(size, seconds, most, clock.seconds)


def test_the_first_failures_are_free_and_then_one_comes_back_at_a_time(clock: Clock) -> None:
    five = buckets(clock)
    for _ in range(5):
        assert five.wait("a") == 0.0
        five.take("a")
    assert five.wait("a") == 12.0
    assert five.wait("b") == 0.0
    clock.advance(11)
    assert five.wait("a") == pytest.approx(1.0)
    clock.advance(1)
    assert five.wait("a") == pytest.approx(0.0)
    five.take("a")
    assert five.wait("a") == pytest.approx(12.0)


def test_failures_beyond_the_limit_count_too_but_not_for_ever(clock: Clock) -> None:
    five = buckets(clock)
    for _ in range(1000):
        five.take("a")
    assert five.wait("a") == pytest.approx(72.0)


def test_full_buckets_are_dropped(clock: Clock) -> None:
    five = buckets(clock)
    five.take("a")
    clock.advance(12)
    five.take("b")
    assert len(five) == 1


def test_no_more_buckets_are_kept_than_allowed(clock: Clock) -> None:
    five = buckets(clock)
    for key in "abcdefgh":
        for _ in range(6):
            five.take(key)
    assert len(five) == 3
    assert (five.wait("a"), five.wait("h")) == (0.0, 24.0)


def test_a_clock_that_is_set_back_makes_nobody_wait_longer() -> None:
    now = [1000.0]
    five: FailureBuckets[str] = FailureBuckets(5, 60.0, 3, lambda: now[0])
    for _ in range(5):
        five.take("a")
    now[0] = 10.0
    assert five.wait("a") == 12.0
    now[0] = 22.0
    assert five.wait("a") == 0.0


@pytest.mark.parametrize(("size", "seconds"), [(0, 60.0), (5, 0.0)])
def test_a_limit_of_zero_is_none(clock: Clock, size: int, seconds: float) -> None:
    none = buckets(clock, size=size, seconds=seconds)
    for _ in range(100):
        none.take("a")
    assert (none.wait("a"), len(none)) == (0.0, 0)
