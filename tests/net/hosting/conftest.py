"""The log events of the tests of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.logs import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.logger import LogEvent


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """Return all events of this package since the test began."""
    with observed("wiredaemon.net.hosting") as events:
        yield events
