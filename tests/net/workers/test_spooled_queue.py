"""Pieces that wait in memory and in files, against a plain list."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.logs import observed, texts_of

from wiredaemon.net.workers.spooled_queue import PieceQueue, SpoolBudget

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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
    assert (queue.held, budget.used) == (19, 0)
    assert queue.take(1) == [b"123456789"]
    assert queue.held == 10
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


class Disk:
    """A disk that is full while a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        disk = self

        class File(BytesIO):
            def write(self, data: ReadableBuffer) -> int:
                if disk.is_full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data)

        monkeypatch.setattr(
            "wiredaemon.net.workers.spooled_queue.TemporaryFile", lambda **_: File()
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_what_a_full_disk_does_not_take_stays_in_order_and_makes_the_queue_full(disk: Disk) -> None:
    budget = SpoolBudget(100)
    queue = PieceQueue(1, budget)
    queue.spool()
    with observed("wiredaemon.net.workers") as events:
        for piece in (b"1", b"2"):
            queue.append(piece)
        assert not queue.is_full
        disk.is_full = True
        for piece in (b"3", b"4"):
            queue.append(piece)
        queue.spool()
        assert (queue.is_full, queue.has_room) == (True, False)
        assert [queue.take(1) for _ in range(4)] == [[b"1"], [b"2"], [b"3"], [b"4"]]
    (line,) = texts_of(events)
    assert line.startswith("answers cannot be spooled, slow readers hold their workers: [Errno 28]")
    assert (budget.used, queue.has_room) == (0, True)


def test_a_disk_that_is_full_is_tried_again_when_the_queue_was_read(disk: Disk) -> None:
    disk.is_full = True
    budget = SpoolBudget(100)
    queue = PieceQueue(2, budget)
    queue.spool()
    with observed("wiredaemon.net.workers") as events:
        for _ in range(2):
            for piece in (b"12", b"34"):
                queue.append(piece)
            queue.spool()
            assert queue.is_full
            assert queue.take(4) == [b"12", b"34"]
            queue.spool()
            assert not queue.is_full
        disk.is_full = False
        for piece in (b"12", b"34", b"56"):
            queue.append(piece)
        assert (queue.is_full, budget.used) == (False, 2 * (HEAD + 2))
    assert len(texts_of(events)) == 1


class Model(RuleBasedStateMachine):
    """Two queues with one budget; each is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk(self.patch)
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
        self.queues[which].spool()

    @rule()
    def fill_or_empty_the_disk(self) -> None:
        self.disk.is_full = not self.disk.is_full

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
        self.patch.undo()
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
