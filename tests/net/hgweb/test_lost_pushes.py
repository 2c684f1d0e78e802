"""Pushes whose client leaves: while Mercurial works, and while it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.hgweb import UNBUNDLE, Exchange, Hosted, posted
from support.logs import observed

from wiredaemon.net.hosting.push_answers import PushAnswers

if TYPE_CHECKING:
    from pathlib import Path

ACCEPTED = b"HG20...reply:changegroup..."
RACED = b"HG20...ERROR:PUSHRACED..."
LARGE = bytes(100_000)


def pushed(tmp_path: Path) -> tuple[Hosted, Exchange]:
    """Return a push whose body is complete."""
    hosted = Hosted(pushes=PushAnswers(tmp_path))
    return hosted, hosted.send(posted(UNBUNDLE, b"bundle"))


def test_the_answer_is_kept_for_a_client_that_comes_again(tmp_path: Path) -> None:
    hosted, exchange = pushed(tmp_path)
    hosted.lose()
    assert not exchange.has_left
    exchange.answer(ACCEPTED)
    again, exchange = pushed(tmp_path)
    exchange.answer(RACED)
    assert again.take().endswith(b"\r\n\r\n" + ACCEPTED)


def test_an_answer_that_announces_its_length_comes_to_nobody(tmp_path: Path) -> None:
    hosted, exchange = pushed(tmp_path)
    hosted.lose()
    with observed("wiredaemon") as events:
        exchange.answer(b"no", status=400, headers=[("Content-Length", "2")])
    assert exchange.stream.held == 0
    assert [event for event in events if "log_failure" in event] == []


def test_an_answer_too_large_to_be_kept_comes_to_nobody(tmp_path: Path) -> None:
    hosted, exchange = pushed(tmp_path)
    hosted.lose()
    exchange.answer(LARGE, LARGE)
    assert exchange.stream.held == 0
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_leaves_in_a_large_answer_lets_its_worker_go(tmp_path: Path) -> None:
    hosted, exchange = pushed(tmp_path)
    exchange.begin()
    hosted.transport.producer.pauseProducing()
    exchange.say(LARGE, LARGE)
    assert not exchange.has_left
    hosted.lose()
    assert exchange.has_left
