from __future__ import annotations

import subprocess
import sys
import threading
from typing import Final

import pytest
from support.responding import ensure_deferred
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.threads import blockingCallFromThread, deferToThread

from wiredaemon.commands import ServerError
from wiredaemon.net.guard.command_threads import CommandThreads
from wiredaemon.wire.limits import Limits

BUSY: Final = (
    "busy, try again in 10 s: too many commands wait for a thread, of 1 that may (blocking_waiting)"
)


class Blocked:
    """A call that returns its name when it is let go."""

    def __init__(self, threads: CommandThreads, name: str, began: list[str]) -> None:
        self.began: Deferred[None] = Deferred()
        self.gate = threading.Event()
        self._name = name
        self._names = began
        self.result = threads.call(self._run)

    def _run(self) -> str:
        self._names.append(self._name)
        blockingCallFromThread(reactor, self.began.callback, None)  # type: ignore[arg-type]
        assert self.gate.wait(60)
        return self._name


def make_threads(threads: int, waiting: int = 8) -> CommandThreads:
    return CommandThreads(reactor, Limits(blocking_threads=threads, blocking_waiting=waiting))


@ensure_deferred
async def test_calls_beyond_the_threads_wait_and_begin_in_their_order() -> None:
    threads, began = make_threads(2), list[str]()
    calls = [Blocked(threads, name, began) for name in "abcd"]
    await gatherResults([calls[0].began, calls[1].began])
    assert (threads.running, len(threads.waiting)) == (2, 2)
    calls[1].gate.set()
    assert await calls[1].result == "b"
    await calls[2].began
    assert sorted(began) == ["a", "b", "c"]
    for call in calls:
        call.gate.set()
    assert await gatherResults([calls[0].result, calls[2].result, calls[3].result]) == [*"acd"]
    assert (threads.running, len(threads.waiting)) == (0, 0)


@ensure_deferred
async def test_a_cancelled_call_keeps_its_thread_until_it_returns() -> None:
    threads, began = make_threads(1), list[str]()
    first, second = Blocked(threads, "first", began), Blocked(threads, "second", began)
    await first.began
    first.result.cancel()
    with pytest.raises(CancelledError):
        await first.result
    assert threads.running == 1
    assert began == ["first"]
    first.gate.set()
    await second.began
    second.gate.set()
    assert await second.result == "second"


@ensure_deferred
async def test_a_call_that_is_cancelled_while_it_waits_is_never_made() -> None:
    threads, began = make_threads(1), list[str]()
    calls = [Blocked(threads, name, began) for name in ("first", "second", "third")]
    await calls[0].began
    calls[1].result.cancel()
    with pytest.raises(CancelledError):
        await calls[1].result
    for call in calls:
        call.gate.set()
    assert await calls[2].result == "third"
    assert began == ["first", "third"]


@ensure_deferred
async def test_beyond_those_that_may_wait_a_call_is_refused_at_once() -> None:
    threads, began = make_threads(1, 1), list[str]()
    calls = [Blocked(threads, name, began) for name in ("first", "second", "third")]
    with pytest.raises(ServerError) as refused:
        await calls[2].result
    assert refused.value.text == BUSY.encode()
    for call in calls:
        call.gate.set()
    assert await gatherResults([calls[0].result, calls[1].result]) == ["first", "second"]
    assert began == ["first", "second"]


@ensure_deferred
async def test_a_call_that_fails_leaves_its_thread_to_the_next() -> None:
    threads = make_threads(1)

    def fails() -> None:
        raise KeyError("no")

    failing, next_one = threads.call(fails), threads.call(threading.current_thread)
    with pytest.raises(KeyError):
        await failing
    assert (await next_one).name.startswith("PoolThread-commands-")


@ensure_deferred
async def test_threads_that_end_are_joined_when_the_last_call_has_returned() -> None:
    threads, began = make_threads(1), list[str]()
    call = Blocked(threads, "call", began)
    await call.began
    threads.end()  # returns at once, though a call runs
    call.gate.set()
    await call.result
    thread: threading.Thread = await threads.call(threading.current_thread)
    threads.end()
    await deferToThread(thread.join, 60)
    assert not thread.is_alive()


PROGRAM: Final = """
from twisted.internet import reactor
from wiredaemon.net.guard.command_threads import CommandThreads
from wiredaemon.wire.limits import Limits

threads = CommandThreads(reactor, Limits())
threads.call(int).addCallback(lambda _: reactor.stop())
reactor.run()
"""


def test_idle_threads_do_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], check=False, timeout=50)
    assert ended.returncode == 0
