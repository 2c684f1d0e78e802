from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_waits import (
    BlockingWaiter,
    Cancelled,
    OneThread,
    Patience,
    RunningCoroutine,
)
from wiredaemon.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Ends:
    """Keeps the ends of coroutines."""

    def __init__(self) -> None:
        self.loop = BlockingLoop()
        self.errors: list[BaseException | None] = []

    def run(self, coroutine: Coroutine[Any, Any, None]) -> RunningCoroutine:
        return RunningCoroutine(self.loop, coroutine, lambda _, error: self.errors.append(error))


def test_a_thread_that_is_in_keeps_others_out_unless_it_is_of_another_process() -> None:
    one, is_in, may_leave = OneThread(), threading.Event(), threading.Event()

    def stay() -> None:
        with one, one:
            is_in.set()
            may_leave.wait(20)

    thread = threading.Thread(target=stay)
    thread.start()
    assert is_in.wait(20)
    with pytest.raises(ClientError, match=r"^another thread uses this connection: "):
        one.__enter__()
    may_leave.set()
    thread.join(20)
    with one:
        one.forget_others()
    thread = threading.Thread(target=one.__enter__)  # which ends, and never leaves
    thread.start()
    thread.join(20)
    one.forget_others()
    with one:
        pass


def test_a_coroutine_runs_from_the_next_turn_on_and_goes_on_when_it_is_woken() -> None:
    ends, steps, waiter = Ends(), list[str](), BlockingWaiter()

    async def main() -> None:
        steps.append("begun")
        await waiter
        steps.append("woken")

    ends.run(main())
    assert steps == []
    ends.loop.look()
    assert steps == ["begun"]
    waiter.wake()
    waiter.wake()
    assert steps == ["begun"]
    ends.loop.look()
    assert steps == ["begun", "woken"]
    assert ends.errors == [None]


def test_a_cancelled_coroutine_may_wait_once_more() -> None:
    ends, steps, waiter, other = Ends(), list[str](), BlockingWaiter(), BlockingWaiter()

    async def main() -> None:
        try:
            await waiter
        finally:
            await other
            steps.append("tidied up")

    running = ends.run(main())
    ends.loop.look()
    running.cancel()
    waiter.wake()  # too late, and no reason to go on
    ends.loop.look()
    assert steps == []
    other.wake()
    ends.loop.look()
    assert steps == ["tidied up"]
    (error,) = ends.errors
    assert isinstance(error, Cancelled)
    running.cancel()
    ends.loop.look()
    assert len(ends.errors) == 1


def test_a_coroutine_that_is_cancelled_before_it_has_begun_does_nothing() -> None:
    ends, steps = Ends(), list[str]()

    async def main() -> None:
        steps.append("begun")

    ends.run(main()).cancel()
    ends.loop.look()
    assert steps == []
    assert [type(error) for error in ends.errors] == [Cancelled]


def test_what_a_coroutine_raises_is_its_owners() -> None:
    ends = Ends()

    async def main() -> None:
        raise LookupError

    ends.run(main())
    ends.loop.look()
    assert [type(error) for error in ends.errors] == [LookupError]


def test_ctrl_c_is_also_of_who_waits() -> None:
    ends = Ends()

    async def main() -> None:
        raise KeyboardInterrupt

    ends.run(main())
    with pytest.raises(KeyboardInterrupt):
        ends.loop.look()
    assert [type(error) for error in ends.errors] == [KeyboardInterrupt]


def test_a_coroutine_that_waits_for_another_loop_fails() -> None:
    class Other:
        def __await__(self) -> Any:
            yield self

    async def main() -> None:
        await Other()

    ends = Ends()
    ends.run(main())
    ends.loop.look()
    (error,) = ends.errors
    assert isinstance(error, ClientError)
    assert str(error) == "the data of a script's call must not wait for another event loop"


def test_a_dropped_coroutine_ends_without_a_turn_and_without_a_word() -> None:
    ends, steps, waiter = Ends(), list[str](), BlockingWaiter()

    async def main() -> None:
        try:
            await waiter
        finally:
            steps.append("closed")

    async def stubborn() -> None:
        try:
            await waiter
        finally:
            await BlockingWaiter()

    for each in (ends.run(main()), ends.run(stubborn())):
        ends.loop.look()
        each.drop()
    waiter.wake()
    ends.loop.look()
    assert steps == ["closed"]
    assert ends.errors == []


def test_patience_counts_all_waits_together() -> None:
    now = 0.0
    loop = BlockingLoop(lambda: now)
    outcomes: list[str] = []
    first = BlockingWaiter()
    patience = Patience(loop, 5.0)

    async def main() -> None:
        await patience.wait(first)
        outcomes.append("first")
        for _ in range(2):
            try:
                await patience.wait(BlockingWaiter())
            except TimeoutError:
                outcomes.append("late")

    RunningCoroutine(loop, main(), lambda _, error: outcomes.append(repr(error)))
    loop.look()
    first.wake()
    now = 4.0
    loop.look()
    assert outcomes == ["first"]
    now = 5.0
    loop.look()
    assert outcomes == ["first", "late", "late", "None"]


def test_patience_that_has_ended_is_not_lost() -> None:
    now = 0.0
    loop = BlockingLoop(lambda: now)
    patience = Patience(loop, 5.0)
    patience.end()
    now = 9.0
    loop.look()
    waiter = BlockingWaiter()
    waiter.wake()
    with pytest.raises(StopIteration):
        patience.wait(waiter).send(None)
