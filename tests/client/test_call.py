from __future__ import annotations

from typing import Final

import pytest
from support.responding import ensure_deferred
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wiredaemon.client.call import Call
from wiredaemon.client.errors import ClientError
from wiredaemon.client.twisted_runtime import TwistedRuntime
from wiredaemon.commands import CommandError

RUNTIME: Final = TwistedRuntime(Clock())


class NotedCarrier:
    """Notes what a call says; it holds something, so that it is told all."""

    is_holding = True

    def __init__(self) -> None:
        self.changes: list[tuple[bool, bool]] = []
        self.closed: list[Call] = []

    def call_changed(self, call: Call) -> None:
        self.changes.append((call.has_waiting, call.is_awaited))

    def call_closed(self, call: Call) -> None:
        self.closed.append(call)


async def collect(call: Call, into: list[object]) -> None:
    async for value in call:
        into.append(value)  # noqa: PERF401 what came before a failure counts


@ensure_deferred
async def test_objects_are_given_as_they_arrive() -> None:
    call, seen = Call(RUNTIME), list[object]()
    collecting = Deferred.fromCoroutine(collect(call, seen))
    call.receive_objects([1, 2])
    assert seen == [1, 2]
    call.receive_objects([3])
    call.receive_end()
    assert seen == [1, 2, 3]
    await collecting


@ensure_deferred
async def test_what_came_before_a_failure_is_given_first() -> None:
    call, seen = Call(RUNTIME), list[object]()
    call.receive_objects([1])
    call.fail(CommandError(b"no more"))
    with pytest.raises(CommandError, match="no more"):
        await collect(call, seen)
    assert seen == [1]


@ensure_deferred
async def test_only_the_first_outcome_counts() -> None:
    call = Call(RUNTIME)
    call.receive_end()
    call.fail(CommandError(b"too late"))
    call.receive_objects([1])
    assert [value async for value in call] == []


@ensure_deferred
async def test_the_result_is_the_one_object() -> None:
    call = Call(RUNTIME)
    call.receive_objects([7])
    call.receive_end()
    assert await call.result() == 7
    with pytest.raises(ClientError, match=r"^the response was taken already: it is there once$"):
        await call.result()


@ensure_deferred
async def test_a_result_behind_an_iteration_or_the_end_of_a_call_says_why_there_is_none() -> None:
    call = Call(RUNTIME)
    call.receive_objects([7])
    call.receive_end()
    assert [value async for value in call] == [7]
    with pytest.raises(ClientError, match="taken already"):
        await call.result()
    closed = Call(RUNTIME)
    waiting = Deferred.fromCoroutine(closed.result())
    closed.receive_objects([7])
    closed.close()
    for each in (waiting, closed.result()):
        with pytest.raises(ClientError, match=r"^the call was closed$"):
            await each


@pytest.mark.parametrize(
    ("objects", "text"), [([], "the response has no object"), ([1, 2], "has more than one object")]
)
@ensure_deferred
async def test_a_response_with_more_or_fewer_objects_has_no_result(
    objects: list[object], text: str
) -> None:
    call = Call(RUNTIME)
    call.receive_objects(objects)
    call.receive_end()
    with pytest.raises(ClientError, match=text):
        await call.result()


@ensure_deferred
async def test_the_connection_is_told_when_all_was_taken_and_when_more_is_waited_for() -> None:
    call, carrier = Call(RUNTIME), NotedCarrier()
    call.carrier, told = carrier, carrier.changes
    call.receive_objects([1, 2])
    iterator = aiter(call)
    assert await anext(iterator) == 1
    assert told == []
    assert await anext(iterator) == 2
    assert told == [(False, False)]
    waiting = Deferred.fromCoroutine(anext(iterator))
    assert told == [(False, False), (False, True)]
    waiting.cancel()
    assert not call.is_awaited
    with pytest.raises(CancelledError):
        await waiting


@ensure_deferred
async def test_a_closed_call_gives_nothing_and_says_so_once() -> None:
    call, carrier = Call(RUNTIME), NotedCarrier()
    call.carrier = carrier
    call.receive_objects([1])
    seen = list[object]()
    call.close()
    await call.aclose()
    await collect(call, seen)
    assert (carrier.closed, seen, call.is_over) == ([call], [], True)


@ensure_deferred
async def test_closing_ends_the_wait_of_whoever_waits() -> None:
    call, seen = Call(RUNTIME), list[object]()
    collecting = Deferred.fromCoroutine(collect(call, seen))
    call.close()
    await collecting
    assert seen == []
