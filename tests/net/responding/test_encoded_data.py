"""Content encoded data: however much comes out of it, little waits for a command (sessions 5)."""

from __future__ import annotations

import zlib
from typing import Any, Final

from support.peers import ENCODED, frame
from support.responding import Responding, make_command
from twisted.internet.defer import Deferred

from wiredaemon.protocol import RemoteProtocolError

MIB: Final = 1024 * 1024
SIZE: Final = 32 * MIB
OFFER: Final = frame(8, 2, b"\xa1Gsession\x01")
ZLIB: Final = frame(9, 2, b"Dzlib", stream_id=3)


def bomb(request_id: int = 1, size: int = SIZE) -> bytes:
    """Frames with so many zeros, of a thousandth of that."""
    packed = zlib.compress(bytes(size))
    cut = [packed[start : start + 16_000] for start in range(0, len(packed), 16_000)]
    return b"".join(
        frame(
            2,
            2 if piece is cut[-1] else 1,
            piece,
            request_id=request_id,
            stream_id=3,
            stream_flags=ENCODED,
        )
        for piece in cut
    )


def responding(*commands: Any) -> Responding:
    run = Responding("0006", *commands, half_duplex=False)
    run.receive(OFFER)
    return run


def test_a_bomb_waits_inside_until_its_command_reads_on() -> None:
    gate: Deferred[None] = Deferred()
    seen: list[int] = []

    async def slow(context: Any) -> int:
        size = 0
        async for piece in context.data:
            if not size:
                await gate
            size += len(piece)
            seen.append(run.responder.running[1].data.size)
        return size

    run = responding(make_command(slow, has_data=True))
    run.announce(1, "slow")
    run.receive(ZLIB + bomb())
    run.run_turns()
    most = run.limits.buffered_data + run.limits.decoded_size + 65536
    assert run.limits.buffered_data < run.responder.running[1].data.size <= most
    assert run.transport.input == ["pause"]
    gate.callback(None)
    run.run_turns()
    assert run.answers[1].content == run.result(SIZE)
    assert run.transport.input[-1] == "resume"
    assert max(seen) <= most


def test_data_that_no_command_reads_is_counted_decoded() -> None:
    def plain(_: Any) -> bytes:
        return b""

    run = responding(make_command(plain))
    run.announce(1, "plain")
    run.receive(ZLIB + bomb())
    run.run_turns()
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    assert "(undeclared_data)" in error.message


def test_data_that_a_command_reads_is_bounded_decoded() -> None:
    async def count(context: Any) -> int:
        return sum([len(piece) async for piece in context.data])

    run = responding(make_command(count, has_data=True, data_limit=4 * MIB))
    run.announce(1, "count")
    run.receive(ZLIB + bomb())
    run.run_turns()
    assert b"command data exceeds the limit of 4194304 bytes" in run.answers[1].content


def test_other_connections_have_their_turn_while_a_bomb_is_decoded() -> None:
    now = [0.0]

    def tick() -> float:
        now[0] += 0.004
        return now[0]

    async def count(context: Any) -> int:
        return sum([len(piece) async for piece in context.data])

    run = Responding("0006", make_command(count, has_data=True), half_duplex=False, now=tick)
    run.receive(OFFER)
    run.announce(1, "count")
    run.receive(ZLIB + bomb())
    assert 1 not in run.answers
    assert run.clock.getDelayedCalls() != []
    run.run_turns()
    assert run.answers[1].content == run.result(SIZE)
