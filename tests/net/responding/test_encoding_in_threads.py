"""Large objects are content encoded in threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.kinds import Ended
from support.responding import (
    Responding,
    ensure_deferred,
    make_command,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from wiredaemon.protocol.responses import EncodingWork
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


LARGE: Final = bytes(range(256)) * 4096
"""1 MiB, and of it few bytes once encoded."""


def encoding(*commands: Any) -> Responding:
    """Respond on real threads to a client that knows zlib."""
    run = Responding(
        "0006",
        *commands,
        half_duplex=False,
        reactor=reactor,
        limits=Limits(encoding_streams=8),
    )
    run.receive(*peers.settings_frames(b"zlib"))
    return run


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which objects were encoded."""
    seen: list[threading.Thread] = []
    run = EncodingWork.run

    def watched(work: EncodingWork) -> None:
        seen.append(threading.current_thread())
        run(work)

    monkeypatch.setattr(EncodingWork, "run", watched)
    return seen


@ensure_deferred
async def test_large_objects_are_encoded_in_threads_and_others_are_answered_meanwhile(
    threads: list[threading.Thread],
) -> None:
    def large(_: Any) -> bytes:
        return LARGE

    def several(_: Any) -> Iterator[bytes]:
        yield b"first"
        yield LARGE
        yield b"last"

    def blocks(_: Any) -> Iterator[bytes]:
        yield LARGE
        yield LARGE

    run = encoding(
        make_command(large),
        make_command(several),
        make_command(blocks, is_blocking=True),
        make_command(small_result),
    )
    ended = Ended(run)
    for request_id, name in ((1, "large"), (3, "several"), (5, "blocks"), (7, "small_result")):
        run.ask(request_id, name)
    assert run.order[-1] == 7
    assert peers.read_answers("0006", _of(run, 7))[7].content == run.result(b"small")
    run.end()
    await ended.deferred
    assert run.answers[1].content == run.result(LARGE)
    assert run.answers[3].content == run.result(b"first", LARGE, b"last")
    assert run.answers[5].content == run.result(LARGE, LARGE)
    assert len(threads) == 4
    assert threading.main_thread() not in threads


@ensure_deferred
async def test_two_large_answers_are_encoded_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2, timeout=20)
    encode = EncodingWork.run

    def together(work: EncodingWork) -> None:
        both.wait()  # breaks where one waits for the other
        encode(work)

    monkeypatch.setattr(EncodingWork, "run", together)

    def objects(_: Any) -> Iterator[bytes]:
        yield LARGE
        yield LARGE

    run = encoding(make_command(objects))
    ended = Ended(run)
    run.ask(1, "objects")
    run.ask(3, "objects")
    run.end()
    await ended.deferred
    assert run.answers[1].content == run.answers[3].content == run.result(LARGE, LARGE)
    streams = {one.stream_id for one in peers.parse_frames(run.transport.wire)}
    assert streams == {2, 4}


def small_result(_: Any) -> bytes:
    return b"small"


def _of(run: Responding, request_id: int) -> list[peers.WireFrame]:
    frames = peers.parse_frames(run.transport.wire)
    return [one for one in frames if one.request_id == request_id]


@ensure_deferred
async def test_a_connection_lost_while_a_large_object_is_encoded_sends_nothing_more() -> None:
    closed: Deferred[None] = Deferred()

    def several(_: Any) -> Iterator[bytes]:
        try:
            yield LARGE
            yield LARGE
        finally:
            closed.callback(None)

    run = encoding(make_command(several))
    run.ask(1, "several")
    sent = run.transport.size
    run.responder.stop()
    await closed
    await deferToThread(lambda: None)  # behind the encoding's own thread
    assert run.transport.size == sent
