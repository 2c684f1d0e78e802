from __future__ import annotations

import math
import random

import pytest

from wiredaemon.daemon.latencies import Latencies


def of(*seconds: float) -> Latencies:
    made = Latencies()
    for one in seconds:
        made.add(one)
    return made


def test_the_ends_the_sum_and_the_number_are_exact() -> None:
    made = of(0.25, 0.001, 3.5)
    assert (made.least, made.most, made.total, made.count) == (0.001, 3.5, 3.751, 3)


def test_percentiles_are_those_of_the_sorted_list_to_one_percent() -> None:
    drawn = random.Random(7)  # noqa: S311 nothing to guess
    seconds = [drawn.lognormvariate(-7, 1) for _ in range(5000)]
    made = of(*seconds)
    seconds.sort()
    for percent in (0.01, 1, 50, 90, 99, 99.9, 100):
        exact = seconds[math.ceil(len(seconds) * percent / 100) - 1]
        assert made.percentile(percent) == pytest.approx(exact, rel=0.0101)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-6, 1e9])
def test_what_is_out_of_all_bounds_is_counted_as_well(seconds: float) -> None:
    made = of(seconds)
    assert made.percentile(50) == made.percentile(99.9) == seconds
    assert [count for _, count in made.rows()] == [1]


def test_rows_go_from_the_first_that_has_a_call_to_the_last() -> None:
    made = of(0.0015, 0.0015, 0.0018, 0.0199, 0.02)
    rows = [(round(end, 9), count) for end, count in made.rows()]
    assert rows == [(0.002, 3), (0.005, 0), (0.01, 0), (0.02, 2)]


def test_without_a_call_there_is_no_row() -> None:
    assert list(Latencies().rows()) == []
