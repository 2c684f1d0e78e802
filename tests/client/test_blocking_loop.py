from __future__ import annotations

import os
import resource
import signal
import socket
from select import POLLIN, POLLOUT
from typing import Any

import pytest

from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_waits import BlockingWaiter


def run(loop: BlockingLoop, seconds: float = 0.0) -> None:
    """Run a loop until a timer of so many seconds."""
    waiter = BlockingWaiter()
    loop.call_later(seconds, waiter.wake)
    loop.wait(waiter)


def test_what_is_called_soon_comes_in_order_and_what_it_adds_one_turn_later() -> None:
    loop, called, waiter = BlockingLoop(), list[str](), BlockingWaiter()

    def first() -> None:
        called.append("first")
        loop.call_soon(lambda: called.append("added"))
        loop.call_soon(waiter.wake)

    loop.call_soon(first)
    loop.call_soon(lambda: called.append("second"))
    loop.wait(waiter)
    assert called == ["first", "second", "added"]


def test_a_waiter_that_is_awake_takes_no_turn() -> None:
    loop, called, waiter = BlockingLoop(), list[str](), BlockingWaiter()
    loop.call_soon(lambda: called.append("not yet"))
    waiter.wake()
    loop.wait(waiter)
    assert called == []


def test_a_waiter_that_is_woken_soon_needs_no_poll() -> None:
    loop, called, waiter = BlockingLoop(), list[str](), BlockingWaiter()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.watch(ours.fileno(), POLLOUT, lambda _: called.append("ready"))
        loop.call_soon(waiter.wake)
        loop.wait(waiter)
        assert called == []


def test_timers_are_called_only_while_somebody_waits() -> None:
    now = 100.0
    loop, called = BlockingLoop(lambda: now), list[str]()
    loop.call_later(5.0, lambda: called.append("timer"))
    now = 200.0
    assert called == []
    loop.look()
    assert called == ["timer"]


def test_an_answer_that_has_come_counts_before_the_timer_that_has_run_out_meanwhile() -> None:
    now = 100.0
    loop, called = BlockingLoop(lambda: now), list[str]()
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def read(_: int) -> None:
            called.append(ours.recv(10).decode())

        loop.watch(ours.fileno(), POLLIN, read)
        loop.call_later(5.0, lambda: called.append("timer"))
        theirs.send(b"answer")
        now = 200.0
        loop.look()
    assert called == ["answer", "timer"]


def test_ready_sockets_and_what_is_called_soon_take_turns() -> None:
    loop, called, waiter = BlockingLoop(), list[str](), BlockingWaiter()
    pairs = [socket.socketpair() for _ in range(3)]

    def again() -> None:
        called.append("soon")
        if called.count("soon") == 3:
            waiter.wake()
        else:
            loop.call_soon(again)

    for number, (ours, theirs) in enumerate(pairs):
        theirs.send(bytes(100))  # more than is read

        def read(_: int, ours: socket.socket = ours, number: int = number) -> None:
            called.append(f"socket {number}")
            ours.recv(1)

        loop.watch(ours.fileno(), POLLIN, read)
    loop.call_soon(again)
    loop.wait(waiter)
    sockets = ["socket 0", "socket 1", "socket 2"]
    assert called == ["soon", *sockets, "soon", *sockets, "soon"]
    for pair in pairs:
        for each in pair:
            each.close()


def test_a_socket_that_another_one_closes_in_the_same_turn_is_not_called() -> None:
    loop, called = BlockingLoop(), list[int]()
    pairs = [socket.socketpair() for _ in range(2)]
    descriptors = [ours.fileno() for ours, _ in pairs]

    def read(descriptor: int) -> None:
        called.append(descriptor)
        for each in descriptors:
            loop.unwatch(each)

    for descriptor, (_, theirs) in zip(descriptors, pairs, strict=True):
        theirs.send(b"x")
        loop.watch(descriptor, POLLIN, lambda _, descriptor=descriptor: read(descriptor))  # type: ignore[misc]
    loop.look()
    assert len(called) == 1
    loop.unwatch(descriptors[0])
    for pair in pairs:
        for each in pair:
            each.close()


def test_a_signal_whose_handler_raises_nothing_ends_no_wait() -> None:
    loop, called, waiter = BlockingLoop(), list[int](), BlockingWaiter()

    def handle(number: int, _: Any) -> None:
        called.append(number)
        loop.call_later(0.0, waiter.wake)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        loop.call_later(0.0, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        loop.call_later(20.0, lambda: called.append(0))
        loop.wait(waiter)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert called == [signal.SIGUSR1]


def test_what_raises_ends_the_wait_and_leaves_the_rest_to_the_next_one() -> None:
    loop, called = BlockingLoop(), list[str]()
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(lambda: called.append("behind"))
    with pytest.raises(ZeroDivisionError):
        run(loop)
    assert called == []
    run(loop)
    assert called == ["behind"]


def test_descriptors_may_be_large() -> None:
    loop, called = BlockingLoop(), list[int]()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("this system allows few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        large = 1900
        os.dup2(ours.fileno(), large)
        try:
            loop.watch(large, POLLIN, called.append)
            theirs.send(b"x")
            loop.look()
            loop.unwatch(large)
        finally:
            os.close(large)
    assert set(called) == {POLLIN}
