"""For all tests of raw connections: nothing is logged as an error, unless a test expects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.logs import observed
from support.responding import failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """What was logged; a test that expects errors takes them out of the list."""
    with observed() as events:
        yield events
    assert failures(events) == []
