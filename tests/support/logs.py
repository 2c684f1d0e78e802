"""The log events of a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@implementer(ILogObserver)
class _Observer:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith(self._namespace):
            self.events.append(event)


@contextmanager
def observed(namespace: str = "") -> Iterator[list[LogEvent]]:
    """Collect the events of loggers whose namespace begins so, while the context lasts."""
    observer = _Observer(namespace)
    globalLogPublisher.addObserver(observer)
    try:
        yield observer.events
    finally:
        globalLogPublisher.removeObserver(observer)


def texts_of(events: list[LogEvent]) -> list[str]:
    """Return the events as they read in the log."""
    return [formatEvent(event) for event in events]
