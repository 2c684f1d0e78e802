"""For all tests of an exchange: nothing is logged as an error, unless a test expects it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from support.responding import failures
from twisted.logger import LogEvent, capturedLogs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """What was logged; a test that expects errors takes them out of the list."""
    with capturedLogs() as events:
        recorded: list[LogEvent] = events  # type: ignore[assignment]
        yield recorded
        gc.collect()
    assert failures(recorded) == []
