"""Sessions of raw connections, in memory: keep-alive, going away, floods of pings (sessions 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.peers import WireFrame, frame, item, parse_frames
from support.raw import Raw, protocol_error
from support.responding import make_command
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from wiredaemon.wire.limits import Limits

SETTINGS: Final = frame(8, 2, b"\xa1Gsession\x01")
PING, PONG, GO_AWAY = 3, 4, 5
STOPPING: Final = b"the server is stopping"
GOODBYE: Final = WireFrame(0, 2, 0, 13, GO_AWAY, item({b"reason": STOPPING}, canonical=False))
PINGED: Final = WireFrame(0, 2, 0, 13, PING, b"")


def plain(_: Any) -> bytes:
    return b"plain"


def in_session(*commands: Any, limits: Limits | None = None) -> Raw:
    raw = Raw("0006", make_command(plain), *commands, limits=limits)
    raw.receive(SETTINGS)
    return raw


def said_by(raw: Raw) -> list[WireFrame]:
    """Return the session frames behind hello."""
    return [one for one in parse_frames(raw.wire) if one.type_number == 13][1:]


def session(number: int, payload: bytes = b"", request_id: int = 0) -> bytes:
    return frame(13, number, payload, request_id=request_id)


def test_a_silent_client_is_pinged_and_kept_as_long_as_it_answers() -> None:
    raw = in_session()
    for number in range(1, 20):
        raw.wait(59)
        assert said_by(raw) == [PINGED] * (number - 1)
        raw.wait(3)
        assert said_by(raw) == [PINGED] * number
        raw.wait(15)
        raw.receive(session(PONG))
    assert raw.transport.is_open()


def test_any_bytes_are_an_answer() -> None:
    raw = in_session()
    raw.wait(62)
    assert said_by(raw) == [PINGED]
    raw.wait(15)
    raw.receive(b"\x00")
    raw.wait(8)
    assert raw.transport.is_open()


@pytest.mark.parametrize("is_running", [False, True])
def test_a_client_that_is_dead_is_given_up_whatever_its_commands_do(*, is_running: bool) -> None:
    stopped: list[str] = []

    def gated(_: Any) -> Deferred[bytes]:
        return Deferred(lambda _: stopped.append("stopped"))

    raw = in_session(make_command(gated))
    if is_running:
        raw.ask(1, "gated")
    raw.wait(80)
    assert said_by(raw) == [PINGED]
    assert raw.transport.is_open()
    raw.wait(3)
    assert not raw.transport.is_open()
    assert said_by(raw) == [PINGED]
    assert stopped == ["stopped"] * is_running


def test_without_a_session_nothing_is_pinged() -> None:
    raw = Raw("0006", make_command(plain))
    raw.ask(1, "plain")
    raw.wait(299)
    assert raw.transport.is_open()
    assert [one for one in parse_frames(raw.wire) if one.type_number == 13] == []


def test_pings_are_not_counted_as_limits_that_peers_cross(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hits: list[str] = []
    raw = in_session()
    guard = raw.factory.guard
    monkeypatch.setattr(guard.hits, "hit", lambda name, *_: hits.append(name))
    raw.wait(62)
    assert hits == []
    raw.wait(22)
    assert hits == ["session_pong_seconds"]


def test_a_client_that_pings_is_answered_and_too_many_in_a_second_end_it() -> None:
    raw = in_session()
    raw.receive(*[session(PING, b"%d" % number) for number in range(10)])
    assert said_by(raw) == [WireFrame(0, 2, 0, 13, PONG, b"%d" % n) for n in range(10)]
    raw.receive(session(PING))
    error = protocol_error("0006", b"pings in a second exceed the limit of 10 (session_pings)")
    last = parse_frames(raw.wire)[-1]
    assert (last.request_id, last.type_number, last.payload) == (0, 5, error)
    assert not raw.transport.is_open()


def test_pings_over_many_seconds_are_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = in_session()
    now = [0.0]
    monkeypatch.setattr(raw.factory.guard.turns, "now", lambda: now[0])
    for _ in range(30):
        now[0] += 1
        raw.receive(session(PING) * 10)
    assert len(said_by(raw)) == 300


def test_an_idle_session_is_told_that_the_server_stops_and_closed_without_an_error() -> None:
    raw = in_session()
    raw.protocol.drain(0)
    assert said_by(raw) == [GOODBYE]
    assert [one for one in parse_frames(raw.wire) if one.type_number == 5] == []
    assert not raw.transport.is_open()
    raw.protocol.drain(0)
    assert said_by(raw) == [GOODBYE]


def test_a_session_with_a_command_is_told_at_once_and_closed_behind_its_answer() -> None:
    result: Deferred[bytes] = Deferred()

    def slow(_: Any) -> Deferred[bytes]:
        return result

    raw = in_session(make_command(slow))
    raw.ask(1, "slow")
    for _ in range(3):
        raw.protocol.drain(0)
    assert said_by(raw) == [GOODBYE]
    # What comes now is refused, and a cancel still stops what runs.
    raw.ask(3, "plain")
    assert STOPPING in (raw.answers[3].error or b"")
    raw.receive(session(2, request_id=1))
    assert b"the call was cancelled" in (raw.answers[1].error or b"")
    raw.protocol.drain(0)
    assert not raw.transport.is_open()
    assert said_by(raw) == [GOODBYE]


def test_a_client_may_say_that_it_goes_and_end() -> None:
    raw = in_session()
    raw.ask(1, "plain")
    raw.receive(session(GO_AWAY, item({b"reason": b"done"}, canonical=False)))
    raw.end()
    assert raw.answers[1].error is None
    assert not raw.transport.is_open()


@pytest.mark.parametrize("goes", [False, True])
def test_a_client_that_ends_without_a_word_has_left(*, goes: bool) -> None:
    stopped: list[str] = []

    def gated(_: Any) -> Deferred[bytes]:
        return Deferred(lambda _: stopped.append("stopped"))

    raw = in_session(make_command(gated))
    raw.ask(1, "gated")
    if goes:
        raw.receive(session(GO_AWAY, item({b"reason": b"done"}, canonical=False)))
    raw.end()
    assert raw.transport.is_open() == goes
    raw.lose()
    assert stopped == ["stopped"]


def test_without_a_session_a_client_may_end_its_side_and_wait() -> None:
    result: Deferred[bytes] = Deferred()

    def slow(_: Any) -> Deferred[bytes]:
        return result

    raw = Raw("0006", make_command(slow))
    raw.ask(1, "slow")
    raw.end()
    assert raw.transport.is_open()
    result.callback(b"late")
    assert raw.answers[1].error is None
    assert not raw.transport.is_open()
