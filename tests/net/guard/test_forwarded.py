from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.net.guard.forwarded import ForwardedRequests
from wiredaemon.net.guard.limit_hits import LimitHits


def begin(requests: ForwardedRequests, host: str) -> tuple[str | None, Deferred[None]]:
    ended: Deferred[None] = Deferred()
    return requests.begin(host, ended), ended


def test_all_addresses_of_one_customer_are_one_place() -> None:
    hits = LimitHits(Clock())
    requests = ForwardedRequests(hits, 1)
    first, ended = begin(requests, "2001:db8::1")
    second, _ = begin(requests, "2001:db8::2")
    other, _ = begin(requests, "2001:db8:0:1::1")
    assert (first, other) == (None, None)
    assert second is not None
    assert "there are 1 requests from this address already (connections_per_address)" in second
    assert hits.counts == {"connections_per_address": 1}
    ended.callback(None)
    assert len(requests) == 2


def test_a_request_that_breaks_off_counts_no_more_and_its_failure_is_nobody_s() -> None:
    requests = ForwardedRequests(LimitHits(Clock()), 1)
    _, ended = begin(requests, "203.0.113.5")
    ended.errback(ConnectionError())
    assert len(requests) == 0
    assert begin(requests, "203.0.113.5")[0] is None


def test_nobody_on_the_machine_of_the_proxy_is_counted() -> None:
    requests = ForwardedRequests(LimitHits(Clock()), 1)
    assert [begin(requests, "127.0.0.1")[0], begin(requests, "::1")[0]] == [None, None]
    assert len(requests) == 0
