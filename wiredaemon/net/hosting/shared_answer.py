"""One answer for several callers: the first has it asked for, and all who come meanwhile wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

_T = TypeVar("_T")

FEW: Final = 16
"""Callers that get the answer in one turn of the reactor: each may do half a millisecond's work."""


class SharedAnswer(Generic[_T]):
    """Asks a question once at a time, however many callers want the answer.

    Args:
        ask: Asks the question. It is called again only after its last answer has come.
        reactor: Has turns; None passes an answer on to all who wait at once.
    """

    def __init__(self, ask: Callable[[], Deferred[_T]], reactor: Any = None) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._ask = ask
        self._reactor = reactor
        self._waiting: list[Deferred[_T]] = []

    def wait(self) -> Deferred[_T]:
        """Return a Deferred of one's own for the answer, or for the failure to get it.

        A caller may cancel its Deferred: the others still get the answer.
        """
        waiting: Deferred[_T] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            maybeDeferred(self._ask).addBoth(self._pass_on)
        return waiting

    def _pass_on(self, outcome: _T | Failure) -> None:
        # Emptied first: a caller that asks again from its callback gets a new answer.
        waiting, self._waiting = self._waiting, []
        self._pass_to(waiting, outcome)

    def _pass_to(self, waiting: list[Deferred[_T]], outcome: _T | Failure) -> None:
        few = len(waiting) if self._reactor is None else FEW
        for each in waiting[:few]:
            each.callback(outcome)
        if rest := waiting[few:]:
            self._reactor.callLater(0, self._pass_to, rest, outcome)
