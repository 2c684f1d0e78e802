"""One answer for several callers: the first has it asked for, and all who come meanwhile wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

_T = TypeVar("_T")


class SharedAnswer(Generic[_T]):
    """Asks a question once at a time, however many callers want the answer.

    Args:
        ask: Asks the question. It is called again only after its last answer has come.
    """

    def __init__(self, ask: Callable[[], Deferred[_T]]) -> None:
        self._ask = ask
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
        for each in waiting:
            each.callback(outcome)
