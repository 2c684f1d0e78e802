"""The body of a request by itself: each pair of its table, and what early bytes and pauses do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from twisted.internet.task import Clock

from wiredaemon.net.http.request_body import TRANSITIONS, BodyInput, BodyState, RequestBody
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.net.http.responses import HttpResponse

PAIRS: Final = [(state, seen) for state in BodyState for seen in BodyInput]
EXPECTED: Final = {
    "UNDECIDED": {"CLAIM": "RECEIVED", "ANSWER": "DRAINED", "END": "UNDECIDED_COMPLETE"},
    "UNDECIDED_COMPLETE": {"CLAIM": "COMPLETE", "ANSWER": "COMPLETE"},
    "RECEIVED": {"ANSWER": "DRAINED", "END": "COMPLETE"},
    "DRAINED": {"END": "COMPLETE"},
    "COMPLETE": {"ANSWER": "COMPLETE"},
    "LOST": {},
}


class Channel:
    """A connection, which notes what is asked of it."""

    def __init__(self) -> None:
        self.input = self
        self.asked: list[str] = []

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def loseConnection(self) -> None:
        self.asked.append("lose")


class Receiver:
    """Notes what it receives; may answer at its first bytes."""

    def __init__(self, body: RequestBody, *, answers: bool = False) -> None:
        self.seen: list[bytes | str] = []
        self._body = body
        self._answers = answers

    def receive_data(self, data: bytes) -> None:
        self.seen.append(data)
        if self._answers:
            self._body.advance(BodyInput.ANSWER)
            if self._body.state is BodyState.DRAINED:
                self._body.drain()
            else:
                self._body.stop()

    def receive_end(self) -> None:
        self.seen.append("end")

    def held(self) -> tuple[int, int]:
        return 0, 0

    def connection_lost(self) -> None:
        self.seen.append("lost")

    def refuse(self, response: HttpResponse) -> None:
        self.seen.append(response.reason)


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def body(channel: Channel, clock: Any) -> RequestBody:
    made = RequestBody(channel, Limits(refused_body=10, drain_seconds=2.0), clock)
    made.declared = 100
    return made


@pytest.mark.parametrize(("state", "seen"), PAIRS)
def test_each_pair_of_the_table(state: BodyState, seen: BodyInput, body: RequestBody) -> None:
    expected = "LOST" if seen is BodyInput.LOSE else EXPECTED[state.name].get(seen.name)
    body.state = state
    if expected is None:
        assert (state, seen) not in TRANSITIONS
        with pytest.raises(KeyError):
            body.advance(seen)
        assert body.state is state
    else:
        body.advance(seen)
        assert body.state is BodyState[expected]


def test_early_bytes_are_kept_and_pause_the_client(body: RequestBody, channel: Channel) -> None:
    body.receive_data(b"one")
    body.receive_data(b"two")
    assert channel.asked == ["pause", "pause"]
    receiver = Receiver(body)
    body.claim(receiver)
    assert channel.asked[2:] == ["resume"]
    body.receive_data(b"three")
    body.receive_end()
    assert receiver.seen == [b"one", b"two", b"three", "end"]


def test_a_body_that_is_complete_before_it_is_claimed_is_received_with_its_end(
    body: RequestBody,
) -> None:
    body.receive_data(b"all")
    body.receive_end()
    receiver = Receiver(body)
    body.claim(receiver)
    assert receiver.seen == [b"all", "end"]
    assert body.is_complete


def test_a_receiver_that_answers_early_bytes_receives_no_more(body: RequestBody) -> None:
    body.receive_data(b"one")
    body.receive_data(b"two")
    receiver = Receiver(body, answers=True)
    body.claim(receiver)
    body.receive_data(b"three")
    assert receiver.seen == [b"one"]
    assert body.state is BodyState.DRAINED


@pytest.mark.parametrize(("size", "asked"), [(10, []), (11, ["lose"])])
def test_what_is_drained_is_bounded_in_bytes(
    body: RequestBody, channel: Channel, size: int, asked: list[str]
) -> None:
    body.advance(BodyInput.ANSWER)
    body.drain()
    body.receive_data(bytes(size))
    assert channel.asked == asked


def test_draining_is_bounded_in_time_and_its_timer_stops_with_the_request(
    body: RequestBody, channel: Channel, clock: Clock
) -> None:
    body.advance(BodyInput.ANSWER)
    body.drain()
    clock.advance(1.9)
    assert channel.asked == []
    clock.advance(0.2)
    assert channel.asked == ["lose"]
    body.drain()
    body.receive_end()
    body.stop()
    assert not clock.getDelayedCalls()


def test_who_receives_is_notified_once_that_the_client_has_gone(body: RequestBody) -> None:
    receiver = Receiver(body)
    body.claim(receiver)
    body.connection_lost()
    body.connection_lost()
    body.resume()
    assert receiver.seen == ["lost"]


@pytest.mark.parametrize("declared", [0, 100])
def test_only_a_body_that_still_arrives_is_paused(
    body: RequestBody, channel: Channel, declared: int
) -> None:
    body.declared = declared
    body.pause()
    assert channel.asked == (["pause"] if declared else [])
    body.receive_end()
    channel.asked.clear()
    body.pause()
    assert channel.asked == []
