"""Which command an idle worker gets, and how many may wait."""

from __future__ import annotations

from typing import Any

import pytest

from wiredaemon.commands import Permission
from wiredaemon.net.workers.calls import StreamCall, ValueCall
from wiredaemon.net.workers.queue import WaitingCalls
from wiredaemon.repository.worker_calls import CallContext

CONTEXT = CallContext(repository=b"/srv/hg", permission=Permission.RO)


class NoPool:
    spool_budget: Any = None

    def cancel(self, call: Any) -> None:
        raise AssertionError(call)

    def relieve(self) -> None:
        raise AssertionError


def value() -> ValueCall:
    return ValueCall(NoPool(), b"heads", {}, CONTEXT)


def stream(share: str | None = None) -> StreamCall:
    return StreamCall(NoPool(), share, False, b"filesdata", {}, CONTEXT)  # noqa: FBT003 has no data


def waiting(*calls: ValueCall | StreamCall, workers: int = 5, places: int = 4) -> WaitingCalls:
    made = WaitingCalls(workers, places)
    for call in calls:
        made.add(call)
    return made


def test_values_come_first_then_streams_in_their_order() -> None:
    first, second, late = stream(), stream(), value()
    calls = waiting(first, second, late)
    assert [calls.next([]), calls.take(late)] == [late, True]
    assert [calls.next([]), calls.take(first)] == [first, True]
    assert [calls.next([]), calls.take(second)] == [second, True]
    assert calls.next([]) is None
    assert not calls.has_streams


def test_a_call_that_does_not_wait_cannot_be_taken() -> None:
    assert not waiting(value(), stream()).take(value())


@pytest.mark.parametrize(("workers", "streams"), [(5, 4), (2, 1), (1, 1)])
def test_one_worker_is_kept_for_values(workers: int, streams: int) -> None:
    late = value()
    calls = waiting(stream(), workers=workers)
    running = [stream() for _ in range(streams)]
    assert calls.next(running[1:]) is not None
    assert calls.next(running) is None
    calls.add(late)
    assert calls.next(running) is late


def test_one_share_runs_half_of_the_streams_and_others_pass_it() -> None:
    same, other = stream("10.0.0.1"), stream("10.0.0.2")
    calls = waiting(same, other)
    running = [stream("10.0.0.1"), stream("10.0.0.1")]
    assert calls.next(running[:1]) is same
    assert calls.next(running) is other
    calls.take(other)
    assert calls.next(running) is None


def test_each_kind_has_its_own_places_and_one_share_half_of_them() -> None:
    calls = waiting(*(stream() for _ in range(4)))
    assert not calls.is_one_too_many(value())
    calls.add(stream())
    assert calls.is_one_too_many(stream())
    crowd = waiting(*(stream("10.0.0.1") for _ in range(3)))
    assert crowd.is_one_too_many(stream("10.0.0.1"))
    assert not crowd.is_one_too_many(stream("10.0.0.2"))
    assert not crowd.is_one_too_many(stream())


def test_all_can_be_taken_at_once() -> None:
    one, two = value(), stream()
    calls = waiting(two, one)
    assert calls.take_all() == [one, two]
    assert calls.next([]) is None
