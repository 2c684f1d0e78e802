"""The fixtures of pytest: testers that are disconnected at the end of each test.

pytest loads this module in each of its runs, so it imports Twisted only for a test that asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wiredaemon.service import Service
    from wiredaemon.testing.tester import ServiceTester


@pytest.fixture
def service_tester() -> Iterator[Callable[..., ServiceTester]]:
    """Make `ServiceTester` objects: ``service_tester(service, user="ann")``."""
    from wiredaemon.testing.tester import ServiceTester  # noqa: PLC0415 it imports Twisted

    made: list[ServiceTester] = []

    def make(service: Service, **options: Any) -> ServiceTester:  # noqa: ANN401 those of ServiceTester
        tester = ServiceTester(service, **options)
        made.append(tester)
        return tester

    yield make
    for tester in made:
        tester.disconnect()
