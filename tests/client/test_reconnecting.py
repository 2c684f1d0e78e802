"""Connecting once more: the attempts, their pauses and their ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wiredaemon.client.address import SCHEMES, parse_url
from wiredaemon.client.errors import (
    ClientError,
    ConnectError,
    ConnectionClosedError,
    UntrustedError,
)
from wiredaemon.client.first_bytes import perhaps_other
from wiredaemon.client.http_messages import RequestHead
from wiredaemon.client.http_pool import HttpPool
from wiredaemon.client.options import ClientOptions
from wiredaemon.client.reconnecting import connect_again
from wiredaemon.client.twisted_runtime import TwistedRuntime

if TYPE_CHECKING:
    from wiredaemon.client.http_stream import HttpStream


class Attempts:
    """Attempts that fail until they are allowed to succeed."""

    def __init__(self, clock: Clock, error: ClientError) -> None:
        self.clock = clock
        self.error: ClientError | None = error
        self.times: list[float] = []
        self.is_wanted = True

    async def __call__(self) -> None:
        self.times.append(self.clock.seconds())
        if self.error is not None:
            raise self.error

    def begin(self, seconds: float) -> Deferred[None]:
        again = connect_again(TwistedRuntime(self.clock), seconds, self, lambda: self.is_wanted)
        return Deferred.fromCoroutine(again)


def test_a_server_that_comes_back_is_found_and_the_pauses_grow() -> None:
    clock = Clock()
    attempts = Attempts(clock, ConnectError("not there"))
    ended = attempts.begin(60)
    clock.pump([0.01] * 2000)
    pauses = [later - first for first, later in pairwise(attempts.times)]
    for number, pause in enumerate(pauses):
        longest = min(0.1 * 2**number, 5.0)
        assert longest / 2 - 0.02 <= pause <= longest + 0.02
    assert len(pauses) > 7
    attempts.error = None
    clock.pump([0.1] * 60)
    assert ended.called
    assert ended.result is None


@pytest.mark.parametrize(
    ("seconds", "error", "is_wanted"),
    [
        (0.01, ConnectError("not there"), True),
        (60, UntrustedError("not that one"), True),
        (60, ConnectError("not there"), False),
    ],
)
def test_an_attempt_is_the_last_one_where_no_other_helps(
    seconds: float,
    error: ClientError,
    is_wanted: bool,  # noqa: FBT001 a parameter
) -> None:
    attempts = Attempts(Clock(), error)
    attempts.is_wanted = is_wanted
    failures: list[Any] = []
    attempts.begin(seconds).addErrback(failures.append)
    assert (len(attempts.times), [each.value for each in failures]) == (1, [error])


class Stream:
    """A stream that is open."""

    tls = None

    def close(self) -> None:
        """Do nothing."""

    abort = close

    def write(self, parts: object) -> None:
        """Do nothing."""


class AwayRuntime(TwistedRuntime):
    """Connects while the server is there."""

    is_away = is_hanging = False
    attempts = 0

    async def open(self, *_: object) -> Any:
        self.attempts += 1
        if self.is_hanging:
            try:
                await Deferred()
            except CancelledError:
                raise ConnectError("not there") from None  # as Twisted's own runtime does
        if self.is_away:
            raise ConnectError("not there")
        return Stream()


def test_http_waits_for_a_server_that_was_there_and_not_for_another() -> None:
    clock = Clock()
    runtime, given = AwayRuntime(clock), list["HttpStream"]()
    failures: list[ClientError] = []
    pool = HttpPool(runtime, parse_url("http://h/"), ClientOptions())
    runtime.is_away = True
    pool.take(given.append, failures.append)
    assert [str(each) for each in failures] == ["not there"]
    runtime.is_away = False
    pool.take(given.append, failures.append)
    runtime.is_away = True
    pool.take(given.append, failures.append)
    given_up = pool.take(given.append, failures.append)
    clock.advance(0.1)
    given_up.is_over = True
    assert (len(given), len(failures)) == (1, 1)
    runtime.is_away = False
    clock.pump([0.1] * 3)
    assert (len(given), len(failures)) == (2, 2)


class Lost:
    """Keeps why an exchange was lost; nothing else happens to it."""

    texts: Final[list[str]] = []

    def lost(self, error: ClientError) -> None:
        self.texts.append(str(error))


def test_a_server_that_has_answered_is_not_said_to_speak_tls() -> None:
    given, exchange = list["HttpStream"](), Lost()
    anything: Any = exchange
    pool = HttpPool(AwayRuntime(Clock()), parse_url("http://h/"), ClientOptions())
    for _ in range(2):
        pool.take(given.append, lambda _: None)
        given[-1].begin(anything, RequestHead(b"GET", b"/", []), is_whole=True)
        given[-1].receive_end(ConnectionClosedError("closed"))
        given[0].is_known = True  # a head of a response has come here
        pool.release(given[0])
    assert exchange.texts == [
        f"h:80 closed the connection without a word{perhaps_other(SCHEMES['http'])}",
        "h:80 closed the connection",
    ]


def test_closing_ends_the_attempts_over_http() -> None:
    clock = Clock()
    runtime, failures = AwayRuntime(clock), list[ClientError]()
    pool = HttpPool(runtime, parse_url("http://h/"), ClientOptions())
    pool.take(pool.release, failures.append)
    runtime.is_hanging = True
    pool.take(lambda _: None, failures.append, is_fresh=True)
    Deferred.fromCoroutine(pool.close())
    clock.pump([1.0] * 5)
    assert (runtime.attempts, [str(each) for each in failures]) == (
        2,
        ["the connection was closed"],
    )
