"""Several callers and one answer."""

from __future__ import annotations

from typing import Any, Final

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.net.hosting.shared_answer import FEW, SharedAnswer

_case: Final = SynchronousTestCase()


class Asked:
    """A question whose answers the test gives."""

    def __init__(self) -> None:
        self.answers: list[Deferred[str]] = []
        self.shared = SharedAnswer(self._ask)

    def _ask(self) -> Deferred[str]:
        self.answers.append(Deferred())
        return self.answers[-1]


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_all_who_come_before_the_answer_get_it_and_it_is_asked_for_once(asked: Asked) -> None:
    first, second = asked.shared.wait(), asked.shared.wait()
    assert len(asked.answers) == 1
    _case.assertNoResult(first)
    asked.answers[0].callback("yes")
    assert _case.successResultOf(first) == _case.successResultOf(second) == "yes"


def test_a_caller_that_comes_after_the_answer_has_it_asked_for_anew(asked: Asked) -> None:
    asked.shared.wait()
    asked.answers[0].callback("old")
    later = asked.shared.wait()
    asked.answers[1].callback("new")
    assert _case.successResultOf(later) == "new"


def test_a_failure_is_everybody_s_and_the_next_caller_asks_again(asked: Asked) -> None:
    waiting = [asked.shared.wait() for _ in range(2)]
    error = ValueError("no")
    asked.answers[0].errback(error)
    assert [_case.failureResultOf(each, ValueError).value for each in waiting] == [error, error]
    asked.shared.wait()
    assert len(asked.answers) == 2


def test_a_caller_that_leaves_takes_the_answer_from_nobody(asked: Asked) -> None:
    leaving, staying = asked.shared.wait(), asked.shared.wait()
    leaving.cancel()
    _case.failureResultOf(leaving, CancelledError)
    asked.answers[0].callback("yes")
    assert _case.successResultOf(staying) == "yes"


def test_a_caller_that_asks_again_from_its_callback_gets_a_new_answer(asked: Asked) -> None:
    again: list[Deferred[str]] = []
    asked.shared.wait().addCallback(lambda _: again.append(asked.shared.wait()))
    asked.answers[0].callback("old")
    assert len(asked.answers) == 2
    asked.answers[1].callback("new")
    assert _case.successResultOf(again[0]) == "new"


def test_an_answer_that_is_there_at_once_is_passed_on_at_once() -> None:
    answered: Deferred[str] = Deferred()
    answered.callback("now")
    assert _case.successResultOf(SharedAnswer(lambda: answered).wait()) == "now"


def test_a_question_that_raises_fails_its_callers_and_can_be_asked_again() -> None:
    def ask() -> Deferred[str]:
        raise ValueError("no")

    shared = SharedAnswer(ask)
    for _ in range(2):
        _case.failureResultOf(shared.wait(), ValueError)


@pytest.mark.parametrize("fails", [False, True])
def test_many_callers_get_the_answer_in_several_turns(fails: bool) -> None:  # noqa: FBT001 a parameter
    clock: Any = Clock()
    answer: Deferred[str] = Deferred()
    shared = SharedAnswer(lambda: answer, clock)
    done: list[object] = []
    waiting = [shared.wait().addBoth(done.append) for _ in range(2 * FEW + 1)]
    waiting[-1].cancel()
    assert len(done) == 1
    if fails:
        answer.errback(ValueError("no"))
    else:
        answer.callback("yes")
    counts = [len(done)]
    while calls := clock.getDelayedCalls():
        assert len(calls) == 1
        clock.calls = []
        calls[0].func(*calls[0].args, **calls[0].kw)
        counts.append(len(done))
    assert counts == [1 + FEW, 1 + 2 * FEW, 1 + 2 * FEW]
