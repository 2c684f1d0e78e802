"""One delayed call at a time, and the part of a reactor that workers need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall


class Reactor(Protocol):
    """The part of a reactor that the pool and its workers need."""

    def callLater(
        self, delay: float, action: Callable[..., object], /, *args: object
    ) -> IDelayedCall:
        """See ``IReactorTime``."""

    def seconds(self) -> float:
        """See ``IReactorTime``."""

    @property
    def spawnProcess(self) -> Any:  # noqa: ANN401 we pass a part of its many arguments
        """See ``IReactorProcess``."""


class Deadline:
    """Calls one function after some time, unless it is set anew or cleared before.

    Args:
        reactor: The reactor that makes the delayed calls.
    """

    __slots__ = ("_call", "_reactor")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._call: IDelayedCall | None = None

    @property
    def is_set(self) -> bool:
        """Whether a call is pending."""
        return self._call is not None and bool(self._call.active())

    def set(self, seconds: float, action: Callable[..., object], *arguments: object) -> None:
        """Call ``action`` after ``seconds``, and nothing else that was to be called."""
        self.clear()
        self._call = self._reactor.callLater(seconds, action, *arguments)

    def clear(self) -> None:
        """Cancel the pending call, if any."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
