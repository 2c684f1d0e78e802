"""What is kept of many values, and what makes room."""

from __future__ import annotations

import pytest

from wiredaemon.repository.recently_used import RecentlyUsed


class Kept:
    """A mapping of two, and what it has dropped."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, int]] = []
        self.values: RecentlyUsed[str, int] = RecentlyUsed(
            2, lambda key, value: self.dropped.append((key, value))
        )
        self.values.keep("a", 1)
        self.values.keep("b", 2)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_the_value_used_longest_ago_makes_room(kept: Kept) -> None:
    kept.values.keep("c", 3)
    assert (list(kept.values), kept.dropped) == ([2, 3], [("a", 1)])


def test_a_value_that_is_used_stays(kept: Kept) -> None:
    assert kept.values.use("a") == 1
    kept.values.keep("c", 3)
    assert (list(kept.values), kept.dropped) == ([1, 3], [("b", 2)])


def test_looking_at_a_value_is_no_use_of_it(kept: Kept) -> None:
    assert (kept.values.peek("a"), "a" in kept.values, list(kept.values)) == (1, True, [1, 2])
    kept.values.keep("c", 3)
    assert kept.dropped == [("a", 1)]


def test_a_value_that_takes_the_place_of_another_is_used_last_and_drops_nothing(
    kept: Kept,
) -> None:
    kept.values.keep("a", 11)
    assert (list(kept.values), kept.dropped) == ([2, 11], [])


def test_a_value_that_is_removed_is_returned_and_not_dropped(kept: Kept) -> None:
    assert (kept.values.remove("a"), kept.values.remove("a")) == (1, None)
    kept.values.clear()
    assert (len(kept.values), kept.dropped) == (0, [])


def test_a_key_without_value_has_none(kept: Kept) -> None:
    assert (kept.values.use("c"), kept.values.peek("c"), "c" in kept.values) == (None, None, False)


def test_the_oldest_can_be_dropped_before_there_are_too_many(kept: Kept) -> None:
    kept.values.drop()
    assert (list(kept.values), kept.dropped) == ([2], [("a", 1)])
    kept.values.drop()
    with pytest.raises(KeyError):
        kept.values.drop()


def test_where_nothing_may_be_kept_a_value_is_dropped_at_once() -> None:
    dropped: list[str] = []
    values: RecentlyUsed[str, int] = RecentlyUsed(0, lambda key, _: dropped.append(key))
    values.keep("a", 1)
    assert (len(values), dropped) == (0, ["a"])


def test_without_anything_to_call_values_are_dropped_all_the_same() -> None:
    values: RecentlyUsed[str, int] = RecentlyUsed(1)
    values.keep("a", 1)
    values.keep("b", 2)
    assert list(values) == [2]
