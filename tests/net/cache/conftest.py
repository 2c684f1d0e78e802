"""The log events of the tests of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_twisted
from support.cloning import Cloned
from support.logs import observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from twisted.logger import LogEvent


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """Return all events since the test began."""
    with observed() as events:
        yield events


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # not annotated
async def make_cloned(tmp_path: Path) -> AsyncIterator[Callable[..., Cloned]]:
    """Return what makes repositories that are cloned, with limits."""
    made: list[Cloned] = []

    def make(**limits: int) -> Cloned:
        made.append(Cloned(tmp_path, **limits))
        return made[-1]

    yield make
    for each in made:
        await each.cache.stop()


@pytest.fixture
def cloned(make_cloned: Callable[..., Cloned]) -> Cloned:
    """Return a repository that is cloned."""
    return make_cloned()
