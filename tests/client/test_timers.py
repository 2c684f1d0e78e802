from __future__ import annotations

from wiredaemon.client.timers import Timer, Timers


def test_timers_are_called_by_time_and_then_in_the_order_in_which_they_came() -> None:
    timers, called = Timers(), list[str]()
    for moment, name in ((2.0, "b"), (1.0, "a"), (2.0, "c"), (9.0, "late")):
        timers.add(moment, lambda name=name: called.append(name))  # type: ignore[misc]
    assert timers.next_moment() == 1.0
    timers.call_due(2.0)
    assert called == ["a", "b", "c"]
    assert timers.next_moment() == 9.0


def test_a_cancelled_timer_is_not_called_and_may_be_cancelled_again() -> None:
    timers, called = Timers(), list[str]()
    first = timers.add(1.0, lambda: called.append("first"))
    second = timers.add(2.0, lambda: called.append("second"))
    first.cancel()
    first.cancel()
    assert timers.next_moment() == 2.0
    timers.call_due(3.0)
    second.cancel()
    assert called == ["second"]
    assert timers.next_moment() is None


def test_one_timer_cancels_another_of_the_same_time() -> None:
    timers, called, others = Timers(), list[str](), list[Timer]()

    def cancel() -> None:
        others[0].cancel()

    timers.add(1.0, cancel)
    others.append(timers.add(1.0, lambda: called.append("other")))
    timers.call_due(1.0)
    assert called == []
    assert timers.next_moment() is None


def test_a_timer_that_is_added_by_another_waits_for_the_next_time() -> None:
    timers, called = Timers(), list[str]()

    def again() -> None:
        called.append("again")
        timers.add(1.0, again)

    timers.add(1.0, again)
    timers.call_due(1.0)
    assert called == ["again"]
    timers.call_due(1.0)
    assert called == ["again", "again"]


def test_cancelled_timers_do_not_pile_up() -> None:
    """As of a script that makes calls with deadlines all day."""
    timers = Timers()
    kept = timers.add(5.0, lambda: None)
    for number in range(10_000):
        timers.add(10.0 + number, lambda: None).cancel()
    assert len(timers) <= 202
    kept.cancel()
    assert timers.next_moment() is None


def test_a_timer_that_raises_leaves_the_others() -> None:
    timers, called = Timers(), list[str]()
    timers.add(1.0, lambda: 1 // 0)
    timers.add(1.0, lambda: called.append("behind"))
    try:
        timers.call_due(1.0)
    except ZeroDivisionError:
        called.append("raised")
    timers.call_due(1.0)
    assert called == ["raised", "behind"]
