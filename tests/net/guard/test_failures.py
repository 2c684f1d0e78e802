from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from wiredaemon.net.guard.failures import FailedRequests
from wiredaemon.wire.limits import Limits


def test_a_client_may_fail_so_often_at_once_and_is_forgiven_with_time() -> None:
    clock: Any = Clock()
    failures = FailedRequests(Limits(failed_requests=3, failed_requests_rate=2.0), clock)
    assert [failures.count("a") for _ in range(5)] == [True, True, True, False, False]
    assert failures.seconds_to_wait("a") == 0.5
    assert failures.seconds_to_wait("b") == 0.0
    clock.advance(0.5)
    assert failures.seconds_to_wait("a") == 0.0
    assert [failures.count("a") for _ in range(2)] == [True, False]
    clock.advance(100)
    assert [failures.count("a") for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_is_set_back_forgives_nothing() -> None:
    clock: Any = Clock()
    clock.advance(100)
    failures = FailedRequests(Limits(failed_requests=1), clock)
    failures.count("a")
    clock.rightNow = 0
    assert failures.seconds_to_wait("a") > 0
