from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.net.guard.waits import FIELDS, Look, Patience, Wait
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.guard.waits import Expiry

LIMITS = Limits()


def first_expiry(look_at: Callable[[int], Look], most: int = 1000) -> tuple[int, str] | None:
    """The second at which a limit is crossed, and its name; the first look is at second 0."""
    patience = Patience()
    for second in range(most):
        expiry: Expiry | None = patience.expired(look_at(second), 1.0, LIMITS)
        if expiry is not None:
            assert expiry.name in expiry.shown
            assert f"{expiry.value:g}" in expiry.shown
            return second, expiry.name
    return None


@pytest.mark.parametrize("wait", FIELDS)
def test_each_wait_ends_after_its_own_time(wait: Wait) -> None:
    name = FIELDS[wait]
    assert first_expiry(lambda _: Look(wait)) == (getattr(LIMITS, name), name)


def test_a_peer_that_waits_for_us_has_all_the_time() -> None:
    assert first_expiry(lambda _: Look(Wait.NOTHING)) is None


def test_another_wait_of_the_kind_begins_anew_and_bytes_alone_do_not() -> None:
    # A head that dribbles is the same wait, however many bytes come.
    assert first_expiry(lambda second: Look(Wait.HEAD, second // 10)) is None
    assert first_expiry(lambda second: Look(Wait.HEAD, second // 11)) == (10, "head_seconds")


def test_time_in_which_we_do_not_read_does_not_count() -> None:
    def look(second: int) -> Look:
        return Look(Wait.REQUEST, is_paused=second % 2 == 0)

    assert first_expiry(look) == (119, "request_seconds")


def test_a_body_needs_its_rate_in_each_window() -> None:
    def come(*sizes: int) -> Callable[[int], Look]:
        return lambda second: Look(Wait.BODY, received=sum(sizes[: (second + 19) // 20]))

    assert first_expiry(come(10_000, 9_999, 20_000)) == (40, "body_rate")
    assert first_expiry(come(9_999, 20_000)) == (20, "body_rate")
    assert first_expiry(come(*[10_000] * 100)) is None


def test_an_answer_must_be_taken_and_not_too_slowly() -> None:
    def taken(rate: int) -> Callable[[int], Look]:
        written = 1_000_000
        return lambda second: Look(Wait.NOTHING, written=written, unsent=written - rate * second)

    assert first_expiry(taken(0)) == (60, "answer_stalled_seconds")
    assert first_expiry(taken(1)) == (60, "answer_rate")
    assert first_expiry(taken(1100), 600) is None


def test_a_peer_that_takes_an_answer_in_lumps_is_not_cut_off() -> None:
    # The producer refills what was taken, so that as much waits at each look.
    def look(second: int) -> Look:
        taken = second // 50 * 70_000
        return Look(Wait.NOTHING, written=taken + 65536, unsent=65536)

    assert first_expiry(look) is None


def test_what_a_peer_owes_us_counts_only_when_it_has_taken_our_output() -> None:
    def look(second: int) -> Look:
        return Look(Wait.HEAD, written=second * 5000 + 9, unsent=9 if second < 300 else 0)

    assert first_expiry(look) == (310, "head_seconds")
