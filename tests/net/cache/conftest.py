"""What is logged while a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@implementer(ILogObserver)
class _Log:
    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """All events since the test began."""
    log = _Log()
    globalLogPublisher.addObserver(log)
    yield log.events
    globalLogPublisher.removeObserver(log)
