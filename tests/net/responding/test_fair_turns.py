"""Requests of one connection share its output fairly, and small ones wait for no large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.peers import parse_frames, request_frames
from support.responding import Responding, make_command
from twisted.internet.defer import Deferred

from wiredaemon.net.responding.running_request import FAIR_TURN
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = bytes(10_000)


def endless(_: Any) -> Iterator[bytes]:
    while True:
        yield PIECE


def small(_: Any) -> bytes:
    return b"small"


def responding(*commands: Any, **limits: int) -> Responding:
    return Responding(
        "0006",
        make_command(endless),
        make_command(small),
        *commands,
        half_duplex=False,
        limits=Limits(**limits),
    )


def written(run: Responding) -> list[tuple[int, set[int]]]:
    """Return size and request ids of each write, and forget them."""
    writes, run.transport.writes = run.transport.writes, []
    found = []
    for frames in writes:
        data = b"".join(header + payload for header, payload in frames)
        found.append((len(data), {one.request_id for one in parse_frames(data)}))
    return found


def test_a_large_answer_alone_sends_much_in_each_turn() -> None:
    run = responding()
    run.ask(1, "endless")
    run.turn()
    run.turn()
    assert all(size >= run.limits.output_high for size, _ in written(run))
    assert run.transport.shared == 0


def test_beside_a_call_it_sends_one_frame_in_each_turn_to_its_end() -> None:
    run = responding()
    run.ask(1, "endless")
    run.ask(3, "small")
    written(run)
    for _ in range(10):
        run.turn()
    sizes = [size for size, _ in written(run)]
    assert len(sizes) == 10
    assert max(sizes) < 2 * FAIR_TURN
    assert run.transport.shared == 1


def test_its_own_data_is_no_other_call() -> None:
    async def generator(context: Any) -> Any:
        async for piece in context.data:
            for _ in range(60):
                yield piece

    run = responding(make_command(generator, has_data=True))
    run.announce(1, "generator")
    for _ in range(5):
        run.data(1, PIECE)
        run.run_turns()
    assert run.transport.shared == 0


def test_two_large_answers_have_turns_of_the_same_size() -> None:
    run = responding()
    run.ask(1, "endless")
    run.ask(3, "endless")
    written(run)
    for _ in range(40):
        run.turn()
    sizes = {1: 0, 3: 0}
    for size, ids in written(run):
        (request_id,) = ids
        sizes[request_id] += size
    assert abs(sizes[1] - sizes[3]) <= 2 * FAIR_TURN


def test_two_large_answers_go_on_in_turn_where_the_peer_takes_one_at_a_time() -> None:
    run = responding()
    run.ask(1, "endless")
    run.ask(3, "endless")
    run.turn()
    run.turn()
    run.responder.pauseProducing()
    run.turn()
    run.turn()
    written(run)
    run.transport.on_write = run.responder.pauseProducing
    order: list[int] = []
    for _ in range(8):
        run.responder.resumeProducing()
        run.turn()
        for _size, ids in written(run):
            order += ids
    assert order in ([1, 3] * 4, [3, 1] * 4)


def test_a_call_that_waits_for_the_peer_is_answered_in_front_of_large_answers() -> None:
    run = responding()
    run.ask(1, "endless")
    run.turn()
    run.responder.pauseProducing()
    run.turn()
    run.ask(3, "small")
    written(run)
    run.transport.on_write = run.responder.pauseProducing
    run.responder.resumeProducing()
    ((_, ids),) = written(run)
    assert 3 in ids
    assert run.connection.is_answerable(3) is False


@pytest.mark.parametrize("half_duplex", [False, True])
def test_requests_that_wait_or_follow_each_other_share_nothing(*, half_duplex: bool) -> None:
    waiting: Deferred[bytes] = Deferred()

    def waits(_: Any) -> Deferred[bytes]:
        return waiting

    run = Responding("0006", make_command(waits), make_command(small), half_duplex=half_duplex)
    run.receive(*request_frames("0006", 1, b"waits"), *request_frames("0006", 3, b"small"))
    run.end()
    waiting.callback(b"")
    assert run.transport.shared == 0
