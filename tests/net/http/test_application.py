"""Requests whose host's settings must be asked for first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.eras import (
    ERAS,
    INDEX,
    ONE,
    READ,
    error_events,
)
from support.web import (
    FIRST,
    MEDIA,
    SECOND,
    FakeHost,
    Web,
    ask,
    fixed_answer,
    framed_answer,
    posted,
    settings_of,
    text_answer,
)
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wiredaemon.commands import (
    ServerError,
)
from wiredaemon.net.hosting.access import AccessRules

if TYPE_CHECKING:
    from wiredaemon.net.hosting.host import Settings

# --- settings that must be asked for -----------------------------------------------------------


def waiting_web(era: str) -> tuple[Web, FakeHost, Deferred[Settings]]:
    host = FakeHost()
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    return Web(era, host=host), host, asked


@ERAS
def test_a_request_waits_for_the_settings_and_its_body_with_it(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(request[:-10]) == b""
    assert connection.transport.producerState == "paused"
    assert connection.exchange(request[-10:]) == b""
    asked.callback(settings_of())
    assert connection.take() == framed_answer(era, *READ[era])
    assert connection.transport.producerState == "producing"
    assert not connection.is_closed


CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def expecting(era: str, version: str = "HTTP/1.1") -> bytes:
    """The head of a request whose client waits before it sends the body."""
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Expect": "100-Continue"}
    request = posted(era, "customreadonly", ONE[era], headers=headers)
    return request[: -len(ONE[era])].replace(b"HTTP/1.1", version.encode())


@ERAS
def test_a_client_is_told_to_continue_when_the_settings_are_known(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    assert connection.exchange(expecting(era)) == b""
    asked.callback(settings_of())
    assert connection.take() == CONTINUE
    assert connection.exchange(ONE[era]) == framed_answer(era, *READ[era])
    assert not connection.is_closed


@ERAS
def test_a_client_that_does_not_wait_is_not_told_to_continue(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    assert connection.exchange(expecting(era) + ONE[era][:9]) == b""
    asked.callback(settings_of())
    assert connection.take() == b""
    assert connection.exchange(ONE[era][9:]) == framed_answer(era, *READ[era])


@ERAS
def test_settings_may_refuse_a_client_that_waits_in_place_of_it(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    assert connection.exchange(expecting(era)) == b""
    asked.callback(settings_of(access=AccessRules(allow_pull=False)))
    assert connection.take() == fixed_answer(
        "401 pull not authorized", b"permission denied"
    ).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@ERAS
def test_http_1_0_knows_no_continue(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    assert connection.exchange(expecting(era, "HTTP/1.0")) == b""
    asked.callback(settings_of())
    assert connection.take() == b""


@ERAS
@pytest.mark.parametrize("split", [0, 1, 20])
def test_a_body_may_end_after_the_settings_came(era: str, split: int) -> None:
    web, host, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    here = len(request) - len(ONE[era]) + split
    assert connection.exchange(request[:here]) == b""
    asked.callback(settings_of())
    assert connection.take() == b""
    assert connection.exchange(request[here:]) == framed_answer(era, *READ[era])
    host.now = settings_of()
    assert connection.exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/api", text_answer("200 OK", INDEX + b"exp-http-v2-0001")),
        (f"/api/{FIRST}", text_answer("200 OK", b"HTTP version 2 API handler")),
        (
            "/?cmd=capabilities",
            fixed_answer(
                "200 Script output follows", b"", "Content-Type: application/mercurial-0.1"
            ),
        ),
    ],
)
def test_requests_without_a_body_wait_too(target: str, answer: bytes) -> None:
    web, host, asked = waiting_web("0003")
    connection = web.connect()
    assert connection.exchange(ask("GET", target)) == b""
    asked.callback(settings_of())
    assert connection.take() == answer
    host.now = settings_of()
    assert connection.exchange(ask("GET", target)) == answer


UNAVAILABLE: Final = text_answer(
    "503 the repository is not available; the server's log says why",
    b"the repository is not available; the server's log says why\n",
)


@ERAS
def test_a_host_that_cannot_be_described_is_unavailable_and_may_come_back(era: str) -> None:
    web, host, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(request) == b""
    asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == UNAVAILABLE
    host.now = settings_of()
    assert connection.exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize("target", ["/api", f"/api/{SECOND}/ro/x", "/?cmd=capabilities"])
def test_every_path_of_a_host_that_cannot_be_described_is_unavailable(target: str) -> None:
    web, _, asked = waiting_web("0006")
    connection = web.connect()
    assert connection.exchange(ask("GET", target)) == b""
    asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == UNAVAILABLE


@ERAS
def test_a_refusal_of_a_long_body_that_waited_is_given_at_once(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "zz", b"x" * 1000)
    assert connection.exchange(request[:-999]) == b""
    asked.callback(settings_of())
    unknown = text_answer("404 Not Found", b"unknown wire protocol command: zz\n")
    assert connection.take() == unknown
    assert connection.exchange(request[-999:]) == b""
    assert not connection.is_closed


@pytest.mark.parametrize("outcome", ["settings", "failure"])
@pytest.mark.parametrize(
    "request_bytes",
    [
        ask("GET", "/api"),
        ask("GET", "/?cmd=capabilities"),
        posted("0003", "customreadonly", ONE["0003"]),
    ],
    ids=["index", "handshake", "command"],
)
def test_a_client_that_left_while_the_settings_were_asked_for_is_forgotten(
    outcome: str, request_bytes: bytes
) -> None:
    web, _, asked = waiting_web("0003")
    connection = web.connect()
    connection.send(request_bytes)
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    with capturedLogs() as events:
        if outcome == "settings":
            asked.callback(settings_of())
        else:
            asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == b""
    assert error_events(events) == []
