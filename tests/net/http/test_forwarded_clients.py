"""Clients behind a trusted proxy, of which each may have so many requests under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.hgweb import DONE, HEADS, Hosted
from support.logins import Users, identification_of
from support.web import ask

from wiredaemon.net.http.proxies import parse_proxies
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from support.web import Connection

PROXIES: Final = parse_proxies(["192.168.1.1"], user_header="X-User")
LIMITS: Final = Limits(connections_per_address=2, push_early=0)
ANN: Final = "203.0.113.5"
BOB: Final = "203.0.113.6"
SHOWN: Final = (
    b"there are 2 requests from this address already (connections_per_address); try again in 10 s\n"
)


def hosted() -> Hosted:
    site = Hosted(limits=LIMITS, identification=identification_of(Users(), proxies=PROXIES))
    site.workers.are_busy = True
    assert PROXIES is not None
    site.web.guard.use(LIMITS, PROXIES.trusts)
    return site


def sent(site: Hosted, host: str = "", user: str = "", address: str = "192.168.1.1") -> Connection:
    """Send a request on a connection of its own."""
    headers = {"X-Forwarded-For": host} if host else {}
    headers |= {"X-User": user} if user else {}
    connection = site.web.connect(address=address)
    return connection.send(ask("GET", HEADS, headers))


def is_refused(connection: Connection) -> bool:
    answer = connection.take()
    if not answer:
        return False
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 10\r\n" in answer
    assert answer.endswith(SHOWN)
    return True


@pytest.mark.parametrize("user", ["", "mia"])
def test_a_request_too_many_of_one_client_is_refused_and_not_those_of_others(user: str) -> None:
    site = hosted()
    found = [is_refused(sent(site, host, user)) for host in (ANN, ANN, ANN, BOB, ANN, BOB)]
    assert found == [False, False, True, False, True, False]
    assert site.web.guard.hits.counts == {"connections_per_address": 2}
    assert len(site.workers.waiting) == 4


def test_the_next_request_may_come_when_one_was_answered_or_its_client_has_left() -> None:
    site = hosted()
    first, second = sent(site, ANN), sent(site, ANN)
    assert is_refused(sent(site, ANN))
    site.workers.are_busy = False
    site.workers.waiting[0].callback(None)
    site.workers.last.answer(b"done", headers=[("Content-Length", "4")])
    assert first.take().endswith(b"done")
    site.workers.are_busy = True
    third = first.send(ask("GET", HEADS, {"X-Forwarded-For": ANN}))
    assert not is_refused(third)
    assert is_refused(sent(site, ANN))
    second.protocol.connectionLost(DONE)
    assert not is_refused(sent(site, ANN))


def test_requests_of_the_proxy_its_machine_and_of_connections_are_not_counted() -> None:
    site = hosted()
    for _ in range(4):
        assert not is_refused(sent(site))
        assert not is_refused(sent(site, "127.0.0.1"))
    # Its header does not count, and it is counted by its connections.
    assert [is_refused(sent(site, ANN, address="10.0.0.7")) for _ in range(2)] == [False, False]
    assert len(site.web.guard.forwarded) == 0


def test_all_is_forgotten_when_nothing_is_under_way() -> None:
    site = hosted()
    connections = [sent(site, host) for host in (ANN, ANN, ANN, BOB)]
    assert len(site.web.guard.forwarded) == 2
    for each in connections:
        each.protocol.connectionLost(DONE)
    assert len(site.web.guard.forwarded) == 0
