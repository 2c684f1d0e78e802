"""Pieces that wait in memory and in files, against a plain list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wiredaemon.net.workers.spooled_queue import PieceQueue, SpoolBudget

HEAD: Final = 4
"""Bytes that each piece costs in a file beside its own."""


def test_without_leave_all_is_held_in_memory_and_says_when_it_is_full() -> None:
    budget = SpoolBudget(1000)
    queue = PieceQueue(10, budget)
    queue.append(b"123456789")
    assert (bool(queue.pieces), queue.is_full, budget.used) == (True, False, 0)
    queue.append(b"0")
    assert queue.is_full
    queue.append(b"even then")
    assert budget.used == 0
    assert queue.take(1) == [b"123456789"]
    assert queue.take(1000) == [b"0", b"even then"]
    assert (bool(queue.pieces), queue.is_full, queue.take(1)) == (False, False, [])


def test_there_is_room_again_only_when_half_is_free() -> None:
    queue = PieceQueue(10, SpoolBudget(0))
    for _ in range(10):
        queue.append(b"-")
    taken = []
    while not queue.has_room:
        taken += queue.take(1)
    assert len(taken) == 5


def test_a_queue_of_no_size_holds_a_piece() -> None:
    queue = PieceQueue(0, SpoolBudget(0))
    assert (queue.is_full, queue.has_room) == (False, True)
    queue.append(b"piece")
    assert (queue.is_full, queue.has_room) == (True, False)
    assert queue.take(1) == [b"piece"]
    assert queue.has_room


def test_what_does_not_fit_into_memory_goes_to_a_file_until_the_budget_is_spent() -> None:
    budget = SpoolBudget(20)
    queue = PieceQueue(4, budget)
    queue.may_spool = True
    queue.append(b"memo")
    assert (queue.is_full, budget.used) == (False, 0)
    queue.append(b"file")
    assert (queue.is_full, budget.used) == (False, HEAD + 4)
    queue.append(b"a longer piece")
    assert (queue.is_full, queue.has_room, budget.is_spent) == (True, False, True)
    assert queue.take(1) == [b"memo"]
    assert queue.take(1) == [b"file"]
    assert budget.used == 0, "all of the file is in memory again"
    assert queue.take(1) == [b"a longer piece"]


def test_one_queue_that_spends_the_budget_leaves_the_others_their_memory() -> None:
    budget = SpoolBudget(10)
    first, second = PieceQueue(1, budget), PieceQueue(10, budget)
    first.may_spool = second.may_spool = True
    first.append(b"1")
    first.append(bytes(10))
    assert (first.is_full, second.is_full) == (True, False)
    second.append(bytes(10))
    assert (first.is_full, second.is_full) == (True, True)
    first.clear()
    assert (second.is_full, second.has_room) == (False, True)


def test_forgetting_all_gives_the_budget_back() -> None:
    budget = SpoolBudget(100)
    queue = PieceQueue(1, budget)
    queue.may_spool = True
    for _ in range(5):
        queue.append(b"12345")
    assert budget.used == 4 * (HEAD + 5)
    queue.clear()
    assert (budget.used, bool(queue.pieces), queue.take(9)) == (0, False, [])
    queue.append(b"anew")
    assert queue.take(9) == [b"anew"]


def test_a_disk_that_is_full_is_an_error_and_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    monkeypatch.setattr(
        "wiredaemon.net.workers.spooled_queue.TemporaryFile",
        lambda **_: full.open("r+b", buffering=0),
    )
    budget = SpoolBudget(100)
    queue = PieceQueue(1, budget)
    queue.may_spool = True
    queue.append(b"1")
    with pytest.raises(OSError, match=os.strerror(28)):
        queue.append(b"2")
    assert budget.used == 0
    assert queue.take(9) == [b"1"]
    queue.clear()


class Model(RuleBasedStateMachine):
    """Two queues with one budget; each is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = SpoolBudget(200)
        self.queues = [PieceQueue(50, self.budget), PieceQueue(1, self.budget)]
        self.expected: list[list[bytes]] = [[], []]

    number = st.integers(0, 1)

    @rule(which=number, piece=st.binary(min_size=1, max_size=60))
    def append(self, which: int, piece: bytes) -> None:
        self.queues[which].append(piece)
        self.expected[which].append(piece)

    @rule(which=number, piece=st.binary(min_size=1, max_size=60))
    def append_while_not_full(self, which: int, piece: bytes) -> None:
        while not self.queues[which].is_full and len(self.expected[which]) < 100:
            self.append(which, piece)

    @rule(which=number, most=st.integers(1, 200))
    def take(self, which: int, most: int) -> None:
        taken = self.queues[which].take(most)
        expected = self.expected[which]
        assert taken == expected[: len(taken)]
        assert bool(taken) == bool(expected)
        assert sum(map(len, taken[:-1])) < most
        del expected[: len(taken)]

    @rule(which=number)
    def allow(self, which: int) -> None:
        self.queues[which].may_spool = True

    @precondition(lambda self: any(self.expected))
    @rule(which=number)
    def clear(self, which: int) -> None:
        self.queues[which].clear()
        self.expected[which].clear()

    @invariant()
    def says_whether_something_waits(self) -> None:
        waiting = [bool(queue.pieces) for queue in self.queues]
        assert waiting == list(map(bool, self.expected))

    @invariant()
    def room_and_full_exclude_each_other(self) -> None:
        assert not any(queue.has_room and queue.is_full for queue in self.queues)

    @invariant()
    def an_empty_queue_has_room(self) -> None:
        for queue, expected in zip(self.queues, self.expected, strict=True):
            assert queue.has_room or expected

    @invariant()
    def no_file_is_kept_for_what_is_gone(self) -> None:
        assert self.budget.used >= 0
        assert self.budget.used == 0 or any(self.expected)

    def teardown(self) -> None:
        for which in (0, 1):
            while self.expected[which]:
                self.take(which, 1)
        assert self.budget.used == 0


TestModel = Model.TestCase


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=60), st.integers(1, 5000))
def test_what_goes_in_and_out_in_turn_comes_out_in_order(pieces: list[bytes], most: int) -> None:
    budget = SpoolBudget(1 << 20)
    queue = PieceQueue(2000, budget)
    queue.may_spool = True
    out: list[bytes] = []
    for number, piece in enumerate(pieces):
        queue.append(piece)
        if number % 3 == 2:
            out += queue.take(most)
    while queue.pieces:
        out += queue.take(most)
    assert out == pieces
    assert budget.used == 0
