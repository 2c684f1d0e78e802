"""Much input: worked off in turns, and put off where the turn of the reactor is long already."""

from __future__ import annotations

from typing import Any

from support import peers
from support.responding import FINISHED, Responding, make_command

from wiredaemon.net.guard.turns import LATE, LITTLE, SECONDS
from wiredaemon.net.responding.held_input import held_by


class Time:
    """A clock of which each request takes a part."""

    def __init__(self, each: float = SECONDS / 8 * 1.001) -> None:
        self.now = 0.0
        self.each = each
        self.ran = 0

    def work(self, _: Any) -> bytes:
        self.ran += 1
        self.now += self.each
        return b"done"


def is_paused(run: Responding) -> bool:
    return run.transport.input[-1:] == ["pause"]


def started() -> tuple[Time, Responding]:
    time = Time()
    run = Responding(
        "0006",
        make_command(time.work),
        half_duplex=False,
        now=lambda: time.now,
    )
    return time, run


def requests(count: int, begin: int = 1) -> bytes:
    numbers = range(begin, begin + 2 * count, 2)
    return b"".join(
        frame for number in numbers for frame in peers.request_frames("0006", number, b"work")
    )


def test_a_read_of_many_requests_is_worked_off_in_turns() -> None:
    time, run = started()
    run.input.receive_data(requests(1000))
    assert time.ran == 8
    assert is_paused(run)
    for turn in range(2, 126):
        run.turn()
        assert time.ran == min(8 * turn, 1000)
    run.run_turns()
    assert not is_paused(run)
    assert len(run.order) == 1000


def test_a_long_read_waits_for_its_turn_where_the_turn_of_the_reactor_is_late() -> None:
    time, run = started()
    run.turns.current.began = 0.0
    time.now = LATE * 1.01
    long = requests(LITTLE // 16)
    assert len(long) > LITTLE
    run.input.receive_data(long)
    assert time.ran == 0
    assert is_paused(run)
    run.turns.current.began = time.now
    run.turn()
    assert time.ran == 8


def held(run: Responding) -> int:
    return held_by(run.responder, run.input, 0, is_known=False).size


def test_a_read_that_waits_for_its_turn_counts_as_held() -> None:
    time, run = started()
    run.turns.current.began = 0.0
    time.now = LATE * 1.01
    long = requests(LITTLE // 16)
    run.input.receive_data(long)
    assert held(run) == len(long)
    run.turns.current.began = time.now
    run.run_turns()
    # Only output, which has left.
    assert held(run) == 0


def test_data_that_wait_for_their_turn_count_as_held() -> None:
    time, run = started()
    begun = b"".join(peers.request_frames("0006", 99, b"work", data=b"")[:-1])
    data = peers.frame(peers.NUMBERS["0006"]["data"], 1, bytes(1000), request_id=99)
    run.input.receive_data(begun)
    # The turn ends behind eight of these, and the data were read with them.
    run.input.receive_data(requests(8) + data * 3)
    assert time.ran == 8
    assert held(run) == 3000
    run.run_turns()
    assert held(run) == 0


def test_a_short_read_is_answered_where_the_turn_of_the_reactor_is_late() -> None:
    time, run = started()
    run.turns.current.began = 0.0
    time.now = LATE * 1.01
    run.input.receive_data(requests(3))
    assert time.ran == 3
    assert not is_paused(run)
    # And of a read that may just be many requests, some.
    run.input.receive_data(requests(20, begin=101))
    assert time.ran == 11
    run.turn()
    assert time.ran == 19


def body_of(count: int) -> tuple[Time, Responding]:
    """Return a body whose commands take a turn each."""
    time = Time(SECONDS * 1.001)
    run = Responding("0006", make_command(time.work), now=lambda: time.now)
    for number in range(1, 2 * count, 2):
        run.ask(number, "work")
    run.end()
    return time, run


def test_the_commands_of_one_body_run_in_turns() -> None:
    time, run = body_of(3)
    for count in (1, 2, 3):
        assert time.ran == count
        run.turn()
    assert run.order == [1, 3, 5]
    run.run_turns()
    assert run.transport.outcomes == [FINISHED]


def test_commands_that_wait_for_their_turn_are_gone_with_the_connection() -> None:
    time, run = body_of(2)
    run.responder.stop()
    run.run_turns()
    assert time.ran == 1


def test_bytes_that_wait_are_gone_with_the_connection() -> None:
    time, run = started()
    run.turns.current.began = 0.0
    time.now = LATE * 1.01
    run.input.receive_data(requests(LITTLE // 16))
    run.responder.stop()
    run.turn()
    assert time.ran == 0
    assert run.connection.held_input == (0, 0)
