"""Waiting while a client accepts no more."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from wiredaemon.net.hgweb.response_flow import ResponseFlow


def test_a_writer_waits_while_the_connection_is_paused() -> None:
    stopped: list[str] = []
    flow = ResponseFlow(lambda: stopped.append("stopped"))
    written: list[str] = []

    async def write() -> None:
        for part in ("one", "two", "three"):
            written.append(part)
            await flow.drain()

    flow.pauseProducing()
    Deferred.fromCoroutine(write())
    assert written == ["one"]
    flow.resumeProducing()
    assert written == ["one", "two", "three"]
    flow.stopProducing()
    assert stopped == ["stopped"]


def test_a_writer_that_was_resumed_is_not_held_by_the_next_pause() -> None:
    flow = ResponseFlow(lambda: None)
    flow.pauseProducing()
    drained: list[None] = []
    Deferred.fromCoroutine(flow.drain()).addCallback(drained.append)
    flow.resumeProducing()
    flow.pauseProducing()
    assert drained == [None]
