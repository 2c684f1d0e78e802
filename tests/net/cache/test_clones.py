"""Requests for whole repositories, with a test in place of the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.cloning import ANSWER, Cloned, WorkerAnswer, head
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred

from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import LogEvent

WHOLE = b"".join(ANSWER)


@ensure_deferred
async def test_the_second_answer_is_the_first_without_a_worker(
    cloned: Cloned, logged: list[LogEvent]
) -> None:
    assert [await cloned.read() for _ in range(3)] == [WHOLE] * 3
    assert len(cloned.answers) == 1
    assert cloned.answers[0].is_closed
    assert len(cloned.files) == 1
    lines = [str(event["log_format"]) for event in logged if "clone" in str(event["log_format"])]
    assert [line.partition(":")[0] for line in lines] == [
        "a clone of {path} is kept",
        "a clone of {path} is sent as it was kept",
        "a clone of {path} is sent as it was kept",
    ]


@ensure_deferred
async def test_each_user_has_answers_of_its_own_where_users_count(cloned: Cloned) -> None:
    for user in ("ann", "bob", None, "ann", "bob", None):
        await cloned.read(user)
    assert len(cloned.answers) == 3


def test_other_requests_are_none_of_it(cloned: Cloned) -> None:
    assert cloned.clone(b"cmd=heads") is None


def test_a_cache_that_is_off_keeps_nothing(make_cloned: Callable[..., Cloned]) -> None:
    assert make_cloned(cache_size=0).clone() is None


@ensure_deferred
async def test_what_changes_while_an_answer_is_made_lets_nothing_be_kept(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    cloned.state.write_bytes(b"22")
    cloned.answers[0].say(*ANSWER, end=True)
    assert await cloned.rest(stream) == WHOLE
    assert cloned.files == []
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    cloned.journal.touch()
    cloned.answers[1].say(*ANSWER, end=True)
    assert await cloned.rest(stream) == WHOLE
    assert cloned.files == []


@ensure_deferred
async def test_nothing_is_kept_in_a_transaction_or_just_behind_a_change(cloned: Cloned) -> None:
    cloned.journal.touch()
    assert await cloned.read() == WHOLE
    cloned.journal.unlink()
    cloned.age = 0
    assert await cloned.read() == WHOLE
    assert cloned.files == []


@ensure_deferred
@pytest.mark.parametrize(
    "answer",
    [
        (head(500), ANSWER[1]),
        (head(media_type=b"application/hg-error"), ANSWER[1]),
        (head(), b"\x42no"),
        (ANSWER[1],),
    ],
)
async def test_refusals_and_small_answers_are_not_kept(
    make_cloned: Callable[..., Cloned], answer: tuple[bytes, ...]
) -> None:
    cloned = make_cloned()
    for _ in range(2):
        cloned.next = WorkerAnswer(*answer)
        assert await cloned.read() == b"".join(answer)
    assert cloned.files == []
    assert all(answer.is_closed for answer in cloned.answers)


@ensure_deferred
async def test_an_answer_that_breaks_off_fails_and_is_not_kept(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    cloned.answers[0].say(*ANSWER[:2])
    cloned.answers[0].fail(ServerError("gone"))
    with pytest.raises(ServerError, match="gone"):
        await cloned.rest(stream)
    await cloned.settled()
    assert cloned.files == []
    cloned.next = ServerError("busy")
    with pytest.raises(ServerError, match="busy"):
        await cloned.read()
    assert await cloned.read() == WHOLE


@ensure_deferred
async def test_those_who_come_meanwhile_wait_for_the_same_answer(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    others = [Deferred.fromCoroutine(cloned.read()) for _ in range(3)]
    cloned.answers[0].say(*ANSWER, end=True)
    for other in others:
        assert await other == WHOLE
    assert len(cloned.answers) == 1
    # The first one has read nothing so far.
    assert await cloned.rest(first) == WHOLE


@ensure_deferred
async def test_those_who_wait_ask_themselves_when_the_answer_fails(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    others = [Deferred.fromCoroutine(cloned.read()) for _ in range(3)]
    cloned.answers[0].fail(ServerError("gone"))
    for other in others:
        assert await other == WHOLE
    with pytest.raises(ServerError, match="gone"):
        await cloned.rest(first)


@ensure_deferred
async def test_a_client_that_leaves_alone_keeps_nothing(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    cloned.answers[0].say(*ANSWER[:2])
    stream.close()
    stream.close()
    await cloned.settled()
    assert cloned.answers[0].is_closed
    assert cloned.files == []
    assert await cloned.read() == WHOLE


@ensure_deferred
async def test_a_client_that_leaves_lets_the_answer_go_on_for_others(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    other = Deferred.fromCoroutine(cloned.read())
    first.close()
    assert not cloned.answers[0].is_closed
    cloned.answers[0].say(*ANSWER, end=True)
    assert await other == WHOLE
    assert len(cloned.answers) == 1


@ensure_deferred
async def test_the_last_one_that_leaves_ends_the_answer(cloned: Cloned) -> None:
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    other = Deferred.fromCoroutine(cloned.read()).addErrback(lambda _: b"left")
    first.close()
    other.cancel()
    assert await other == b"left"
    assert cloned.answers[0].is_closed
    assert cloned.clones.makings == {}
    assert cloned.files == []
