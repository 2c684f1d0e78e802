"""Objects between the worker that sends them and the reader that is perhaps slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.peers import item
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.spooled_queue import SpoolBudget
from wiredaemon.net.workers.worker_stream import (
    TRANSITIONS,
    StreamInput,
    StreamState,
    WorkerStream,
    advance,
)
from wiredaemon.protocol import LocalProtocolError, RemoteProtocolError
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import OK_MAP, error_map

if TYPE_CHECKING:
    from twisted.internet.interfaces import IPushProducer

_case: Final = SynchronousTestCase()

BUFFER: Final = 1000
ERROR: Final = item(error_map(b"%s broke", (b"it",)), canonical=False)
PRODUCER: Final[Any] = object()


@dataclass
class RecordedFeed:
    """The worker; remembers in order what a stream wants of it."""

    asked: list[object] = field(default_factory=list)

    def pause_output(self) -> None:
        self.asked.append("pause")

    def resume_output(self) -> None:
        self.asked.append("resume")

    def send_data(self, data: bytes, *, end: bool) -> None:
        self.asked.append((data, end))

    def break_data(self) -> None:
        self.asked.append("break")

    def watch_input(self, producer: IPushProducer) -> None:
        assert producer is PRODUCER
        self.asked.append("watch")


class Streamed:
    """A stream, its worker and who watches it."""

    def __init__(self, *, has_data: bool = False, begun: bool = True, spool: int = 10_000) -> None:
        self.feed = RecordedFeed()
        self.told: list[str] = []
        self.budget = SpoolBudget(spool)
        self.stream = WorkerStream(
            self.feed,
            Limits(worker_stream_buffer=BUFFER),
            self.budget,
            has_data=has_data,
            on_full=lambda: self.told.append("full"),
            on_left=lambda: self.told.append("left"),
        )
        if begun:
            self.stream.receive(OK_MAP)

    def read(self) -> Deferred[list[bytes]]:
        return Deferred.fromCoroutine(self.stream.read())

    def got(self) -> list[bytes]:
        return _case.successResultOf(self.read())

    def failure(self) -> Exception:
        error = _case.failureResultOf(self.read()).value
        assert isinstance(error, Exception)
        return error

    def finish(self) -> None:
        self.stream.check_end()
        self.stream.finish()


# --- reading -----------------------------------------------------------------------------------


def test_objects_are_given_as_they_came_without_the_ok_map_and_the_empty_frame() -> None:
    streamed = Streamed()
    for piece in (b"one", b"two", b""):
        streamed.stream.receive(piece)
    streamed.finish()
    assert streamed.got() == [b"one", b"two"]
    assert streamed.got() == []
    assert streamed.got() == []


def test_a_reader_waits_for_the_next_piece_and_for_the_end() -> None:
    streamed = Streamed(begun=False)
    first = streamed.read()
    streamed.stream.receive(OK_MAP)
    _case.assertNoResult(first)
    streamed.stream.receive(b"one")
    assert _case.successResultOf(first) == [b"one"]
    last = streamed.read()
    _case.assertNoResult(last)
    streamed.finish()
    assert _case.successResultOf(last) == []


def test_a_reader_is_given_no_more_than_256_kib_and_a_piece_at_once() -> None:
    feed = RecordedFeed()
    stream = WorkerStream(
        feed,
        Limits(),
        SpoolBudget(0),
        has_data=False,
        on_full=lambda: None,
        on_left=lambda: None,
    )
    stream.receive(OK_MAP)
    for _ in range(20):
        stream.receive(bytes(32768))
    assert len(_case.successResultOf(Deferred.fromCoroutine(stream.read()))) == 8
    assert stream.taken == 8 * 32768


def test_an_error_comes_behind_what_was_said_before_it() -> None:
    streamed = Streamed()
    streamed.stream.receive(b"one")
    streamed.stream.fail(ServerError("gone"))
    assert streamed.got() == [b"one"]
    assert str(streamed.failure()) == "gone"
    assert str(streamed.failure()) == "gone"


def test_an_error_wakes_who_reads() -> None:
    streamed = Streamed()
    reading = streamed.read()
    streamed.stream.fail(ServerError("gone"))
    assert str(_case.failureResultOf(reading, ServerError).value) == "gone"


def test_an_error_behind_the_end_changes_nothing() -> None:
    streamed = Streamed()
    streamed.finish()
    streamed.stream.fail(ServerError("gone"))
    assert streamed.got() == []


@pytest.mark.parametrize("cut", [0, 1, len(ERROR)])
def test_an_error_map_is_a_command_error(cut: int) -> None:
    streamed = Streamed(begun=False)
    for part in (ERROR[:cut], ERROR[cut:]):
        streamed.stream.receive(part)
    streamed.finish()
    error = streamed.failure()
    assert isinstance(error, CommandError)
    assert (error.message, error.arguments) == (b"%s broke", (b"it",))


def test_an_answer_without_a_status_is_refused() -> None:
    streamed = Streamed(begun=False)
    with pytest.raises(RemoteProtocolError, match="incomplete"):
        streamed.stream.check_end()


@pytest.mark.parametrize("end", [1, len(ERROR) - 1])
def test_an_error_map_that_is_cut_off_is_refused(end: int) -> None:
    streamed = Streamed(begun=False)
    streamed.stream.receive(ERROR[:end])
    with pytest.raises(RemoteProtocolError):
        streamed.stream.check_end()


def test_objects_in_the_frame_of_the_status_are_refused() -> None:
    streamed = Streamed(begun=False)
    with pytest.raises(RemoteProtocolError, match="has objects and no ok map"):
        streamed.stream.receive(OK_MAP + b"\x01")


def test_a_reading_that_is_cancelled_leaves_the_pieces_to_the_next_one() -> None:
    streamed = Streamed()
    reading = streamed.read()
    reading.cancel()
    _case.failureResultOf(reading, CancelledError)
    streamed.stream.receive(b"one")
    assert streamed.got() == [b"one"]


# --- back-pressure -----------------------------------------------------------------------------


def test_a_full_buffer_pauses_the_worker_until_half_is_read() -> None:
    streamed = Streamed()
    for _ in range(4):
        streamed.stream.receive(bytes(250))
    assert streamed.feed.asked == ["pause"]
    assert streamed.told == ["full"]
    assert streamed.stream.state is StreamState.PAUSED
    streamed.stream.receive(bytes(250))  # of the same read of the pipe
    assert streamed.feed.asked == ["pause"]
    assert len(streamed.got()) == 5
    assert streamed.feed.asked == ["pause", "resume"]
    assert streamed.stream.state is not StreamState.PAUSED


def test_a_worker_that_has_answered_is_not_resumed_by_who_reads_late() -> None:
    # Its next command may be paused for a reader of its own.
    streamed = Streamed()
    streamed.stream.receive(bytes(BUFFER))
    streamed.finish()
    assert streamed.stream.state is not StreamState.PAUSED
    assert len(streamed.got()) == 1
    streamed.stream.close()
    assert streamed.feed.asked == ["pause"]
    assert streamed.told == ["full"]


def test_a_spooled_stream_frees_its_worker_and_keeps_the_order() -> None:
    streamed = Streamed()
    pieces = [b"%04d" % number * 25 for number in range(100)]
    for piece in pieces[:10]:
        streamed.stream.receive(piece)
    assert streamed.stream.state is StreamState.PAUSED
    streamed.stream.spool()
    assert streamed.feed.asked == ["pause", "resume"]
    for piece in pieces[10:]:
        streamed.stream.receive(piece)
    assert streamed.budget.used == 90 * 104
    assert streamed.feed.asked == ["pause", "resume"]
    streamed.finish()
    got = []
    while part := streamed.got():
        got += part
    assert got == pieces
    assert streamed.budget.used == 0


def test_a_spent_budget_pauses_again() -> None:
    streamed = Streamed(spool=500)
    for _ in range(10):
        streamed.stream.receive(bytes(100))
    streamed.stream.spool()
    for _ in range(5):
        streamed.stream.receive(bytes(100))
    assert streamed.feed.asked == ["pause", "resume", "pause"]
    assert streamed.told == ["full", "full"]
    while streamed.stream.state is StreamState.PAUSED:
        streamed.got()
    assert streamed.budget.used == 0
    assert streamed.feed.asked[-1] == "resume"


def test_a_disk_that_takes_nothing_lets_the_worker_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wiredaemon.net.workers.spooled_queue.TemporaryFile", refuse)
    streamed = Streamed()
    streamed.stream.receive(bytes(BUFFER))
    for _ in range(3):
        streamed.stream.spool()
    streamed.stream.receive(b"next")
    streamed.stream.spool()
    assert streamed.feed.asked == ["pause", "resume", "pause"]
    assert streamed.told == ["full", "full"]
    assert streamed.got() == [bytes(BUFFER), b"next"]
    assert streamed.feed.asked[-1] == "resume"


# --- leaving -----------------------------------------------------------------------------------


def test_who_leaves_early_lets_the_worker_go_on_for_nobody() -> None:
    streamed = Streamed()
    streamed.stream.receive(bytes(BUFFER))
    streamed.stream.close()
    assert streamed.feed.asked == ["pause", "resume"]
    assert streamed.told == ["full", "left"]
    for _ in range(3):
        streamed.stream.receive(bytes(BUFFER))
    assert streamed.feed.asked == ["pause", "resume"]


def test_leaving_gives_the_space_of_the_spool_back() -> None:
    streamed = Streamed()
    streamed.stream.spool()
    for _ in range(20):
        streamed.stream.receive(bytes(100))
    assert streamed.budget.used == 10 * 104
    streamed.stream.close()
    assert streamed.budget.used == 0


def test_leaving_behind_the_end_or_twice_tells_nobody() -> None:
    streamed = Streamed()
    streamed.finish()
    streamed.stream.close()
    streamed.stream.close()
    assert streamed.told == []
    left = Streamed()
    left.stream.close()
    left.stream.close()
    assert left.told == ["left"]


# --- command data ------------------------------------------------------------------------------


def test_command_data_goes_to_the_worker_until_its_end() -> None:
    streamed = Streamed(has_data=True)
    streamed.stream.watch_input(PRODUCER)
    streamed.stream.send_data(b"one")
    streamed.stream.send_data(b"", end=True)
    streamed.stream.send_data(b"late")
    streamed.stream.close()
    assert streamed.feed.asked == ["watch", (b"one", False), (b"", True)]


def test_a_stream_without_command_data_sends_none() -> None:
    streamed = Streamed()
    streamed.stream.watch_input(PRODUCER)
    streamed.stream.send_data(b"one")
    streamed.stream.break_data()
    streamed.stream.close()
    assert streamed.feed.asked == []


def test_leaving_in_the_middle_of_command_data_breaks_it_once() -> None:
    streamed = Streamed(has_data=True)
    streamed.stream.send_data(b"one")
    streamed.stream.break_data()
    streamed.stream.close()
    streamed.stream.send_data(b"two")
    assert streamed.feed.asked == [(b"one", False), "break"]
    assert streamed.told == ["left"]


def test_command_data_behind_the_whole_answer_is_dropped() -> None:
    for end in (Streamed.finish, lambda each: each.stream.fail(ServerError("gone"))):
        streamed = Streamed(has_data=True)
        end(streamed)
        streamed.stream.watch_input(PRODUCER)
        streamed.stream.send_data(b"one")
        streamed.stream.close()
        assert streamed.feed.asked == []


# --- the states of a stream --------------------------------------------------------------------

WAITING, FLOWING, PAUSED, LEFT, ENDED, CLOSED = StreamState
BEGIN, FILL, DRAIN, END, LEAVE, RESTART = StreamInput

FOLLOWS: Final = {
    (WAITING, BEGIN): FLOWING,
    (WAITING, END): ENDED,
    (WAITING, LEAVE): LEFT,
    (WAITING, RESTART): WAITING,
    (FLOWING, RESTART): WAITING,
    (PAUSED, RESTART): WAITING,
    (FLOWING, FILL): PAUSED,
    (FLOWING, END): ENDED,
    (FLOWING, LEAVE): LEFT,
    (PAUSED, DRAIN): FLOWING,
    (PAUSED, END): ENDED,
    (PAUSED, LEAVE): LEFT,
    (LEFT, END): CLOSED,
    (ENDED, LEAVE): CLOSED,
}


@pytest.mark.parametrize(("state", "seen"), list(product(StreamState, StreamInput)))
def test_each_pair_leads_to_its_state_or_is_refused(state: StreamState, seen: StreamInput) -> None:
    if (state, seen) in FOLLOWS:
        assert advance(state, seen) is FOLLOWS[state, seen]
    else:
        message = f"a stream cannot see {seen.name} while it is {state.name}"
        with pytest.raises(LocalProtocolError, match=f"^{message}$"):
            advance(state, seen)


def test_the_table_has_no_other_pair() -> None:
    assert dict(TRANSITIONS) == FOLLOWS


def test_a_worker_that_begins_behind_a_reader_that_left_is_not_read() -> None:
    for content in (OK_MAP, ERROR, b"anything"):
        streamed = Streamed(begun=False)
        streamed.stream.close()
        streamed.stream.receive(content)
        streamed.finish()
        assert streamed.stream.state is CLOSED
