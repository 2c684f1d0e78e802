"""Objects that a generator has given reach their client while it waits for the next one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.kinds import both_duplexes, every_dialect
from support.responding import Responding, ensure_deferred, make_command
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from wiredaemon.wire.encodings import DECODERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ENCODED: Final = 4
ENCODINGS: Final = tuple(name.decode() for name in DECODERS)


class Given:
    """A generator that gives two objects, and waits behind each."""

    def __init__(self) -> None:
        self.goes_on: list[Deferred[None]] = [Deferred(), Deferred()]

    async def given(self, _: Any) -> AsyncIterator[bytes]:
        for number, wait in enumerate(self.goes_on):
            yield b"object %d" % number
            await wait


def content_of(run: Responding, encoding: str = "identity") -> bytes:
    """Return what a client can read of the only answer now."""
    decoder = DECODERS[encoding.encode()]()
    number = peers.NUMBERS[run.dialect]["response"]
    content = b""
    for frame in peers.parse_frames(run.transport.wire):
        if frame.type_number != number:
            continue
        if frame.stream_flags & ENCODED:
            decoder.feed(frame.payload)
            while decoder.pending:
                content += decoder.read()
        else:
            content += frame.payload
    return content


@every_dialect
@both_duplexes
def test_an_object_is_sent_while_its_generator_waits(dialect: str, *, half_duplex: bool) -> None:
    source = Given()
    run = Responding(dialect, make_command(source.given), half_duplex=half_duplex)
    run.ask(1, "given")
    run.end()
    for number, wait in enumerate(source.goes_on):
        content = content_of(run)
        assert b"object %d" % number in content
        assert b"object %d" % (number + 1) not in content
        wait.callback(None)
    (answer,) = peers.read_answers(dialect, peers.parse_frames(run.transport.wire)).values()
    assert answer.content.count(b"object") == 2
    assert not answer.error


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoder_holds_nothing_back_meanwhile(encoding: str) -> None:
    source = Given()
    run = Responding("0006", make_command(source.given), half_duplex=False)
    run.receive(*peers.settings_frames(encoding.encode()))
    run.ask(1, "given")
    for number, wait in enumerate(source.goes_on):
        assert b"object %d" % number in content_of(run, encoding)
        wait.callback(None)
    assert content_of(run, encoding).count(b"object") == 2


@every_dialect
def test_objects_that_come_without_waiting_share_a_frame(dialect: str) -> None:
    wait: Deferred[None] = Deferred()

    async def given(_: Any) -> AsyncIterator[bytes]:
        for number in range(10):
            yield b"object %d" % number
        await wait

    run = Responding(dialect, make_command(given), half_duplex=False)
    run.ask(1, "given")
    assert content_of(run).count(b"object") == 10
    frames = peers.parse_frames(run.transport.wire)
    assert sum(b"object" in frame.payload for frame in frames) == 1
    wait.callback(None)


@every_dialect
@ensure_deferred
async def test_an_object_of_a_thread_is_sent_while_its_generator_blocks(dialect: str) -> None:
    goes_on = threading.Event()

    def given(_: Any) -> Iterator[bytes]:
        yield b"one"
        assert goes_on.wait(60)
        yield b"two"

    run = Responding(
        dialect, make_command(given, is_blocking=True), half_duplex=False, reactor=reactor
    )
    run.ask(1, "given")
    try:
        await until(lambda: b"one" in content_of(run))
        assert b"two" not in content_of(run)
    finally:
        goes_on.set()
    await until(lambda: not run.responder.running)
    assert b"two" in content_of(run)


async def until(holds: Callable[[], bool]) -> None:
    """Wait in turns of the reactor."""
    anywhere: Any = reactor
    while not holds():
        await deferLater(anywhere, 0, lambda: None)
