"""Names of repositories of one daemon, of which each test of a module has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


def own_names(request: pytest.FixtureRequest, fixture: str) -> Mapping[str, str]:
    """Return a name for each test of a module that runs and uses a fixture, by the test's node id.

    Args:
        request: The request of any fixture of the module.
        fixture: The name of the fixture that gives a test its repository.
    """
    tests = (
        item
        for item in request.session.items
        if item.path == request.path
        and isinstance(item, pytest.Function)
        and fixture in item.fixturenames
    )
    # Of one width, so that none is the beginning of another one.
    return {item.nodeid: f"r{number:03}" for number, item in enumerate(tests)}
