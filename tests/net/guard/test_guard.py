from __future__ import annotations

from typing import Any, Final

import pytest
from support.logs import observed, texts_of
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock

from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.guard.waits import Look, Wait
from wiredaemon.net.repeated_lines import MOST_ALIKE
from wiredaemon.wire.limits import Limits


def address(host: str = "192.0.2.1") -> IPv4Address:
    return IPv4Address("TCP", host, 5)


ONE: Final = address()
PROXY: Final = address("192.0.2.99")


class Connection:
    """One that waits for what the test says."""

    def __init__(self, guard: ConnectionGuard, *, wait: Wait = Wait.NOTHING) -> None:
        self._guard = guard
        self.now = Look(wait)
        self.ends: list[str] = []

    def look(self) -> Look:
        return self.now

    def expire(self, expiry: Any) -> None:
        self.ends.append(expiry.name)
        self._guard.close(self)

    def abort(self) -> None:
        self.ends.append("abort")
        self._guard.close(self)

    def drain(self, now: float) -> None:
        raise AssertionError(now)


def guard_of(clock: Any, **limits: Any) -> ConnectionGuard:
    return ConnectionGuard(clock, Limits(**limits), is_exempt=lambda one: one == PROXY)


def open_some(guard: ConnectionGuard, count: int, at: Any = ONE) -> list[str | None]:
    """Open connections from an address; the limits that refuse them."""
    refusals = [guard.open(Connection(guard), at) for _ in range(count)]
    return [None if refusal is None else refusal.name for refusal in refusals]


def test_connections_are_counted_together_and_a_refused_one_takes_no_place() -> None:
    guard = guard_of(Clock(), connections=2)
    kept = Connection(guard)
    assert guard.open(kept, ONE) is None
    assert open_some(guard, 2, address("192.0.2.2")) == [None, "connections"]
    guard.close(kept)
    assert open_some(guard, 2, ONE) == [None, "connections"]
    assert guard.hits.counts == {"connections": 2}


def test_a_refusal_names_limit_value_and_time() -> None:
    guard = guard_of(Clock(), connections=0)
    refusal = guard.open(Connection(guard), ONE)
    assert refusal is not None
    assert (refusal.shown, refusal.retry, refusal.is_silent) == (
        "there are 0 connections already (connections); try again in 10 s",
        10,
        False,
    )


def test_of_many_refused_connections_that_stay_open_the_last_are_not_told() -> None:
    guard = guard_of(Clock(), connections=0)
    refusals = [guard.open(Connection(guard), ONE) for _ in range(65)]
    assert [refusal is not None and refusal.is_silent for refusal in refusals] == [
        *[False] * 64,
        True,
    ]


@pytest.mark.parametrize("at", [address("127.0.0.1"), UNIXAddress("/run/socket"), PROXY])
def test_nobody_is_counted_for_loopback_unix_sockets_and_trusted_proxies(at: Any) -> None:
    assert open_some(guard_of(Clock(), connections_per_address=1), 3, at) == [None] * 3


def test_each_address_has_so_many_connections_until_one_is_closed() -> None:
    guard = guard_of(Clock(), connections_per_address=2)
    first = Connection(guard)
    guard.open(first, ONE)
    refused = Connection(guard)
    assert open_some(guard, 1) == [None]
    assert guard.open(refused, ONE) is not None
    assert open_some(guard, 1, address("192.0.2.2")) == [None]
    guard.close(refused)
    guard.close(first)
    assert open_some(guard, 2) == [None, "connections_per_address"]


def test_behind_a_proxy_a_connection_counts_for_its_client_once_that_is_known() -> None:
    guard = guard_of(Clock(), connections_per_address=1)
    proxy = address("127.0.0.1")
    first, second = Connection(guard), Connection(guard)
    assert guard.open(first, proxy) is guard.open(second, proxy) is None
    assert guard.identify(first, ONE) is None
    refusal = guard.identify(second, ONE)
    assert refusal is not None
    assert refusal.name == "connections_per_address"
    guard.close(first)
    guard.close(second)
    assert open_some(guard, 1) == [None]


def test_an_address_whose_requests_fail_is_refused_until_it_is_forgiven() -> None:
    clock: Any = Clock()
    guard = guard_of(clock, failed_requests=2, failed_requests_rate=0.1)
    connection = Connection(guard)
    guard.open(connection, ONE)
    assert [guard.failed(connection) for _ in range(3)] == [True, True, False]
    refusal = guard.open(Connection(guard), ONE)
    assert refusal is not None
    assert (refusal.name, refusal.retry) == ("failed_requests", 11)
    assert guard.open(Connection(guard), address("192.0.2.2")) is None
    clock.advance(11)
    assert guard.open(Connection(guard), ONE) is None


def test_one_timer_looks_at_all_and_ends_with_the_last() -> None:
    clock: Any = Clock()
    guard = guard_of(clock)
    assert clock.getDelayedCalls() == []
    connections = [Connection(guard, wait=Wait.HEAD) for _ in range(700)]
    for each in connections:
        guard.open(each, UNIXAddress("/run/socket"))
    quiet = Connection(guard)
    guard.open(quiet, ONE)
    assert len(clock.getDelayedCalls()) == 1
    clock.pump([1.0, 0.0, 0.0] * 12)
    assert {name for each in connections for name in each.ends} == {"head_seconds"}
    assert all(len(each.ends) == 1 for each in connections)
    assert (quiet.ends, len(guard)) == ([], 1)
    guard.close(quiet)
    assert clock.getDelayedCalls() == []


def test_a_peer_that_cannot_be_told_is_cut_off() -> None:
    clock: Any = Clock()
    guard = guard_of(clock)
    handshake = Connection(guard, wait=Wait.HANDSHAKE)
    reader = Connection(guard)
    reader.now = Look(Wait.NOTHING, written=9, unsent=9)
    guard.open(handshake, ONE)
    guard.open(reader, ONE)
    clock.pump([1.0] * 62)
    assert (handshake.ends, reader.ends) == (["abort"], ["abort"])
    assert guard.hits.counts == {"tls_handshake_seconds": 1, "answer_stalled_seconds": 1}


def test_a_clock_that_jumps_ends_nothing() -> None:
    clock: Any = Clock()
    guard = guard_of(clock)
    connection = Connection(guard, wait=Wait.HEAD)
    guard.open(connection, ONE)
    clock.pump([1.0, 100_000, 1.0])
    assert connection.ends == []


def test_short_times_are_looked_at_more_often() -> None:
    clock: Any = Clock()
    guard = guard_of(clock, head_seconds=0.1)
    connection = Connection(guard, wait=Wait.HEAD)
    guard.open(connection, ONE)
    clock.pump([0.025] * 6)
    assert connection.ends == ["head_seconds"]


def test_a_connection_that_breaks_keeps_nobody_else_from_being_looked_at() -> None:
    clock: Any = Clock()
    guard = guard_of(clock)
    broken, other = Connection(guard), Connection(guard, wait=Wait.HEAD)
    broken.look = None  # type: ignore[method-assign, assignment]
    guard.open(broken, ONE)
    guard.open(other, ONE)
    with observed("wiredaemon") as events:
        clock.pump([1.0] * 12)
    assert (broken.ends, other.ends) == (["abort"], ["head_seconds"])
    assert [event["log_format"] for event in events if "log_failure" in event] == [
        "a connection could not be looked at"
    ]


def test_stopping_logs_what_was_counted_and_leaves_no_timer() -> None:
    clock = Clock()
    guard = guard_of(clock)
    for lines in (guard.failed_connections, guard.failed_requests):
        for _ in range(MOST_ALIKE + 3):
            lines.is_new("alike")
    with observed("wiredaemon.net.guard") as events:
        guard.stop()
    assert texts_of(events) == [
        "connections failed: repeated 3 times: alike",
        "requests failed: repeated 3 times: alike",
    ]
    assert clock.getDelayedCalls() == []
