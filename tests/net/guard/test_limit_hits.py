from __future__ import annotations

from typing import Any

from support.logs import observed, texts_of
from twisted.internet.task import Clock

from wiredaemon.net.guard.limit_hits import LimitHits
from wiredaemon.wire.limits import Limits


def test_all_hits_are_counted_and_one_a_minute_is_logged_with_the_count() -> None:
    clock: Any = Clock()
    hits = LimitHits(clock)
    with observed("wiredaemon") as events:
        for _ in range(3):
            hits.hit("head_seconds", 10.0, "10.0.0.1:5")
        hits.hit("connections", 1000, "10.0.0.2:5")
        clock.advance(60)
        hits.hit("head_seconds", 10.0, "10.0.0.3:5")
    assert hits.counts == {"head_seconds": 4, "connections": 1}
    behind = "times since the last such line"
    assert texts_of(events) == [
        f"limit head_seconds (10.0) was hit by 10.0.0.1:5; 1 {behind}",
        f"limit connections (1000) was hit by 10.0.0.2:5; 1 {behind}",
        f"limit head_seconds (10.0) was hit by 10.0.0.3:5; 3 {behind}",
    ]


def test_the_limit_that_an_error_names_is_counted() -> None:
    clock: Any = Clock()
    hits = LimitHits(clock)
    for message in (
        "request 1 exceeds the limit of 5 bytes (request_size)",
        "no limit (at_all)",
        "a limit (request_size) in the middle",
        "counted by the guard (request_seconds)",
        "",
    ):
        hits.hit_in(message, Limits(), "10.0.0.1:5")
    assert hits.counts == {"request_size": 1}
