"""One delayed call at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.workers.deadline import Deadline

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor


def test_what_was_set_last_is_called_once_and_nothing_before_it(reactor: FakeReactor) -> None:
    called: list[object] = []
    deadline = Deadline(reactor)
    deadline.set(1.0, called.append, "first")
    deadline.set(2.0, called.append, "second")
    reactor.advance(1.0)
    assert (called, deadline.is_set) == ([], True)
    reactor.advance(1.0)
    assert (called, deadline.is_set) == (["second"], False)


def test_a_deadline_may_be_set_again_by_what_it_calls(reactor: FakeReactor) -> None:
    deadline = Deadline(reactor)
    called: list[float] = []

    def again() -> None:
        called.append(reactor.seconds())
        deadline.set(1.0, again)

    deadline.set(1.0, again)
    reactor.pump([1.0] * 3)
    assert called == [1.0, 2.0, 3.0]


def test_nothing_is_called_once_it_is_cleared(reactor: FakeReactor) -> None:
    called: list[object] = []
    deadline = Deadline(reactor)
    deadline.clear()
    deadline.set(1.0, called.append, "late")
    deadline.clear()
    reactor.advance(2.0)
    assert (called, deadline.is_set, reactor.getDelayedCalls()) == ([], False, [])
