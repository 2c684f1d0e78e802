"""For all tests of an exchange: nothing is logged as an error, unless a test expects it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from support.logs import observed
from support.responding import failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    """Spare the garbage collector what the tests before have left, as much as a process has.

    Each test here collects garbage: behind thousands of others that took half a second each.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """What was logged; a test that expects errors takes them out of the list."""
    with observed() as events:
        yield events
        gc.collect()
    assert failures(events) == []
