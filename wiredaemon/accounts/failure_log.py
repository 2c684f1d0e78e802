"""The log of failed logins: a line for each address, however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

_log: Final = Logger()

_SHOWN: Final = 64
"""The most characters of a name that a line repeats."""

_LINES: Final = 100
"""Lines written at once: they keep the reactor for some 5 ms."""


@dataclass(slots=True)
class _Counts:
    failed: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        return self.failed + self.refused


class FailureLog:
    """Writes the first failure of an address at once, and counts those that follow.

    Args:
        clock: Says when counts are due.
        seconds: The time between two lines of counts.
        most: Addresses that are counted one by one; those beyond it together.
    """

    def __init__(self, clock: IReactorTime, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._counts: dict[str, _Counts] = {}
        self._others = _Counts()
        self._timer: IDelayedCall | None = None

    def fail(self, address: str, who: str) -> None:
        """Say that a login failed.

        Args:
            address: The peer's place.
            who: What was presented, in words: a user's name as ``name_of`` writes it, say.
        """
        counts = self._of(address, who, "failed")
        if counts is not None:
            counts.failed += 1

    def refuse(self, address: str, who: str) -> None:
        """Say that a login was refused without a look at it: too many failures, or too busy."""
        counts = self._of(address, who, "was refused unseen")
        if counts is not None:
            counts.refused += 1

    def _of(self, address: str, who: str, what: str) -> _Counts | None:
        """Return the counts of an address; None if this was its first and has its line now."""
        self._wait()
        if address in self._counts:
            return self._counts[address]
        if len(self._counts) >= self._most:
            return self._others
        self._counts[address] = _Counts()
        _log.warn("login of {who} from {address} {what}", who=who, address=address, what=what)
        return None

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._go_on)

    def stop(self) -> None:
        """Write the counts for the last time."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.write()

    def _go_on(self) -> None:
        self._timer = None
        self.write()
        if self._counts:
            self._wait()

    def write(self) -> None:
        """Write the counts. An address that goes on keeps its place, and gets no first line."""
        others, self._others = self._others, _Counts()
        busy = [(address, counts) for address, counts in self._counts.items() if counts.total]
        # The busiest get the lines of their own: they are those that an operator will shut out.
        busy.sort(key=lambda each: each[1].total, reverse=True)
        self._counts = {address: _Counts() for address, _ in busy}
        for address, counts in busy[:_LINES]:
            self._write_line(address, counts)
        for _, counts in busy[_LINES:]:
            others.failed += counts.failed
            others.refused += counts.refused
        if others.total:
            self._write_line("other addresses", others)

    def _write_line(self, address: str, counts: _Counts) -> None:
        _log.warn(
            "more logins from {address} in the last {seconds:g} s: {failed} failed, {refused} were "
            "refused unseen",
            address=address,
            seconds=self._seconds,
            failed=counts.failed,
            refused=counts.refused,
        )


def name_of(user: str) -> str:
    """Return a user's name for the log, on one line and not too long, whatever it is."""
    return ascii(user if len(user) <= _SHOWN else f"{user[:_SHOWN]}...")
