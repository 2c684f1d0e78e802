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
def _frozen() -> Iterator[None]:
    """Keep the garbage collector from what earlier tests have left: all that they have loaded.

    Each test here collects garbage, which took half a second each after thousands of others.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """What was logged; a test that expects errors takes them out of the list."""
    with observed() as events:
        yield events
        gc.collect()
    assert failures(events) == []
