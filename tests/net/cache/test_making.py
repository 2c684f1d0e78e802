"""Answers on their way into a file: their client, and what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.cloning import ANSWER, WorkerAnswer
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred

from wiredaemon.net.cache.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest
    from support.cloning import Cloned

WHOLE = b"".join(ANSWER)


@ensure_deferred
async def test_a_slow_client_keeps_no_worker(make_cloned: Callable[..., Cloned]) -> None:
    cloned = make_cloned()
    stream = await cloned.open()
    await cloned.settled()
    assert cloned.answers[0].is_closed
    assert len(cloned.files) == 1
    assert await cloned.rest(stream) == WHOLE


@ensure_deferred
async def test_a_client_reads_what_has_come_so_far(make_cloned: Callable[..., Cloned]) -> None:
    cloned = make_cloned()
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    for part in ANSWER:
        reading = Deferred.fromCoroutine(stream.read())
        cloned.answers[0].say(part)
        assert await reading == [part]
    cloned.answers[0].say(end=True)
    assert await stream.read() == []
    stream.close()
    await cloned.settled()
    assert len(cloned.files) == 1


@ensure_deferred
async def test_an_answer_that_is_too_large_goes_to_its_client_alone(
    make_cloned: Callable[..., Cloned],
) -> None:
    cloned = make_cloned(cache_entry=3000)
    assert await cloned.read() == WHOLE
    assert cloned.files == []
    # Whoever waited for it asks a worker.
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    other = Deferred.fromCoroutine(cloned.read())
    cloned.answers[1].say(*ANSWER[:2])
    assert not cloned.answers[1].is_closed
    cloned.answers[1].say(ANSWER[2], end=True)
    assert await cloned.rest(first) == WHOLE
    assert await other == WHOLE
    assert all(answer.is_closed for answer in cloned.answers)


@ensure_deferred
async def test_a_client_that_leaves_an_answer_of_its_own_ends_it(
    make_cloned: Callable[..., Cloned],
) -> None:
    cloned = make_cloned(cache_entry=3000)
    cloned.next = WorkerAnswer()
    stream = await cloned.open()
    cloned.answers[0].say(*ANSWER[:2])
    assert not cloned.answers[0].is_closed
    stream.close()
    assert cloned.answers[0].is_closed


@ensure_deferred
async def test_a_full_disk_costs_the_client_nothing(
    make_cloned: Callable[..., Cloned], monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    cloned = make_cloned()
    write = Recording.write

    def fails(self: Recording, parts: Sequence[bytes]) -> None:
        if self.size:
            raise OSError(28, "No space left on device")
        write(self, parts)

    monkeypatch.setattr(Recording, "write", fails)
    assert await cloned.read() == WHOLE
    assert cloned.files == []
    assert any("no response is recorded" in str(event["log_format"]) for event in logged)
    # For a while nobody tries again.
    assert await cloned.read() == WHOLE
    assert cloned.cache.recorded == 0


@ensure_deferred
async def test_who_waits_for_too_long_asks_a_worker(make_cloned: Callable[..., Cloned]) -> None:
    cloned = make_cloned()
    cloned.next = WorkerAnswer()
    first = await cloned.open()
    (making,) = cloned.clones.makings.values()
    await making.wait(0.01, cloned.reactor)
    assert not cloned.answers[0].is_closed
    cloned.answers[0].say(*ANSWER, end=True)
    assert await cloned.rest(first) == WHOLE
