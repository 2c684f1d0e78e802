"""Objects of a thread on their way to the reactor's: in batches, and soon where they are rare."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.responding import ensure_deferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from wiredaemon.commands import ServerError
from wiredaemon.net.responding.handover import Handover

if TYPE_CHECKING:
    from collections.abc import Sequence


@ensure_deferred
async def test_a_few_objects_are_taken_after_a_moment_while_the_thread_does_something_else() -> (
    None
):
    taken: Deferred[tuple[list[Any], bool]] = Deferred()
    goes_on = threading.Event()

    def deliver(objects: Sequence[Any], *, is_slow: bool) -> None:
        taken.callback((list(objects), is_slow))

    handover = Handover(reactor, deliver)

    def give() -> None:
        handover.put(b"one")
        handover.put(b"two")
        assert goes_on.wait(60)

    given = deferToThread(give)
    assert await taken == ([b"one", b"two"], True)
    goes_on.set()
    await given


@ensure_deferred
async def test_the_end_takes_what_is_left_and_a_full_batch_goes_at_once() -> None:
    sizes: list[tuple[int, bool]] = []

    def deliver(objects: Sequence[Any], *, is_slow: bool) -> None:
        sizes.append((len(objects), is_slow))

    handover = Handover(reactor, deliver)

    def give() -> None:
        handover.put(bytes(1024 * 1024))
        handover.put(b"last")
        handover.finish()

    await deferToThread(give)
    assert sizes == [(1, False), (1, False)]


@ensure_deferred
async def test_a_delivery_that_fails_later_fails_the_next_call_of_the_thread() -> None:
    came: Deferred[None] = Deferred()
    failed = threading.Event()

    def refuse(_: Sequence[Any], *, is_slow: bool) -> None:
        assert is_slow
        came.callback(None)
        raise ServerError("full")

    handover = Handover(reactor, refuse)

    def give() -> None:
        handover.put(b"one")
        assert failed.wait(60)
        handover.put(b"two")

    given = deferToThread(give)
    await came
    anywhere: Any = reactor
    await deferLater(anywhere, 0, lambda: None)  # until it has failed
    failed.set()
    with pytest.raises(ServerError, match="full"):
        await given


@ensure_deferred
async def test_batches_are_delivered_one_after_the_other() -> None:
    under_way: list[Deferred[None]] = []
    came: list[Deferred[None]] = [Deferred(), Deferred()]

    def deliver(_: Sequence[Any], *, is_slow: bool) -> Deferred[None]:  # noqa: ARG001 of Deliver
        under_way.append(Deferred())
        came[len(under_way) - 1].callback(None)
        return under_way[-1]

    handover = Handover(reactor, deliver)
    more = threading.Event()

    def give() -> None:
        handover.put(b"one")
        assert more.wait(60)
        handover.put(bytes(1024 * 1024))

    given = deferToThread(give)
    await came[0]
    more.set()
    assert not given.called
    assert len(under_way) == 1
    under_way[0].callback(None)
    await came[1]
    assert not given.called
    under_way[1].callback(None)
    await given
