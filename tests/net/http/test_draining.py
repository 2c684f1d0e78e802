"""HTTP connections of a daemon that stops, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.responding import make_command
from support.web import FakeHost, Web, posted, requests, settings_first
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from support.web import Connection

CLOSE = b"\r\nConnection: close\r\n"


def plain(_: Any) -> bytes:
    return b"plain"


class Served:
    """One connection to a site with a command that ends when the test says so."""

    def __init__(self) -> None:
        self.result: Deferred[bytes] = Deferred()

        async def slow(_: Any) -> bytes:
            return await self.result

        host = FakeHost([make_command(slow), make_command(plain)])
        self.web = Web("0006", host=host)
        self.connection: Connection = self.web.connect()

    def drain(self, now: float = 0) -> None:
        for connection in self.web.guard.connections():
            connection.drain(now)


def request(name: str) -> bytes:
    return posted("0006", name, settings_first() + requests("0006", name.encode()))


@pytest.mark.parametrize("before", [0, 1, 3])
def test_an_idle_connection_is_closed_without_a_word(before: int) -> None:
    served = Served()
    for _ in range(before):
        assert b"200 OK" in served.connection.exchange(request("plain"))
    served.drain()
    assert served.connection.is_closed
    assert served.connection.take() == b""
    served.drain()


def test_an_answer_that_has_not_begun_says_that_the_connection_closes() -> None:
    served = Served()
    served.connection.send(request("slow"))
    served.drain()
    assert not served.connection.is_closed
    served.result.callback(b"done")
    answer = served.connection.take()
    assert CLOSE in answer
    assert b"done" in answer
    assert served.connection.is_closed


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("size", [10, 100, -1])
def test_a_request_that_has_begun_to_arrive_is_answered_and_closes(
    size: int, *, known: bool
) -> None:
    served = Served()
    if known:
        served.connection.exchange(request("plain"))
        served.connection.exchange(request("plain"))
    served.connection.send(request("plain")[:size])
    served.drain()
    served.drain()
    assert not served.connection.is_closed
    answer = served.connection.exchange(request("plain")[size:])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert CLOSE in answer
    assert b"plain" in answer
    assert served.connection.is_closed
