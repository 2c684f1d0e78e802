"""Command data: to its command as it arrives, bounded, with back-pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.kinds import (
    OBJECT,
    both_duplexes,
    every_dialect,
    plain,
)
from support.responding import (
    FINISHED,
    Responding,
    make_command,
)
from twisted.internet.defer import Deferred, succeed

from wiredaemon.protocol import RemoteProtocolError
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Reader:
    """A command that takes a piece of its data each time the test lets it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.gate: Deferred[None] = Deferred()
        self.command = make_command(self.reader, has_data=True)

    async def reader(self, context: Any) -> bytes:
        await self._open()
        async for piece in context.data:
            self.pieces.append(piece)
            await self._open()
        return b"%d" % sum(map(len, self.pieces))

    async def _open(self) -> None:
        gate = self.gate
        await gate

    def take(self) -> None:
        gate, self.gate = self.gate, Deferred()
        gate.callback(None)

    def open(self) -> None:
        gate, self.gate = self.gate, succeed(None)
        gate.callback(None)


@every_dialect
@both_duplexes
def test_data_reaches_its_command_as_it_arrives(dialect: str, *, half_duplex: bool) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command, half_duplex=half_duplex)
    run.announce(1, "reader")
    reader.open()
    run.data(1, b"one")
    assert reader.pieces == [b"one"]
    run.data(1, b"two")
    assert reader.pieces == [b"one", b"two"]
    run.data(1, b"", is_last=True)
    run.end()
    assert run.answers[1].content == run.result(b"6")


@every_dialect
@both_duplexes
def test_data_that_a_command_does_not_take_pauses_the_peer(
    dialect: str, *, half_duplex: bool
) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command, half_duplex=half_duplex)
    run.announce(1, "reader")
    for _ in range(8):
        run.data(1, OBJECT)
    assert run.transport.input == []
    run.data(1, OBJECT)
    assert run.transport.input == ["pause"]
    run.data(1, OBJECT)  # what was on its way: TLS gives some records more
    assert set(run.transport.input) == {"pause"}
    reader.take()
    assert "resume" not in run.transport.input
    reader.open()
    assert run.transport.input.count("resume") == 1
    assert run.transport.input[-1] == "resume"
    run.data(1, b"", is_last=True)
    run.end()
    assert run.answers[1].content == run.result(b"%d" % (10 * len(OBJECT)))


def test_a_command_that_ends_without_its_data_lets_the_peer_go_on() -> None:
    gate: Deferred[bytes] = Deferred()

    async def impatient(_: Any) -> bytes:
        return await gate

    run = Responding("0006", make_command(impatient, has_data=True))
    run.announce(1, "impatient")
    for _ in range(10):
        run.data(1, OBJECT)
    gate.callback(b"enough")
    assert run.transport.input[-1] == "resume"
    run.data(1, OBJECT)
    run.data(1, b"", is_last=True)
    assert run.transport.input[-1] == "resume"
    run.end()
    assert run.answers[1].content == run.result(b"enough")


@every_dialect
@both_duplexes
def test_undeclared_data_is_counted_bounded_and_dropped(dialect: str, *, half_duplex: bool) -> None:
    limits = Limits(undeclared_data=100)
    for size in (100, 101):
        run = Responding(dialect, make_command(plain), half_duplex=half_duplex, limits=limits)
        run.announce(1, "plain")
        run.data(1, bytes(60))
        run.data(1, bytes(size - 60), is_last=True)
        run.end()
        if size == 100:
            assert run.answers[1].content == run.result(b"plain")
            assert run.transport.outcomes == [FINISHED]
        else:
            (error,) = run.transport.outcomes
            assert isinstance(error, RemoteProtocolError)
            assert error.malformed
            assert error.message == (
                "data of request 1, whose command takes none, exceeds the limit of 100 bytes "
                "(undeclared_data)"
            )
            assert bool(run.transport.writes) is not half_duplex


@every_dialect
@pytest.mark.parametrize("own_limit", [None, 10])
def test_more_data_than_allowed_is_an_error_of_the_command(
    dialect: str, own_limit: int | None
) -> None:
    async def reads(context: Any) -> bytes:
        return await context.data.read()  # type: ignore[no-any-return]

    limits = Limits(command_data=20)
    commands = make_command(reads, has_data=True, data_limit=own_limit), make_command(plain)
    run = Responding(dialect, *commands, limits=limits)
    most = own_limit or 20
    run.ask(1, "reads", data=bytes(most))
    run.ask(3, "reads", data=bytes(most + 1))
    run.ask(5, "plain")
    run.end()
    assert run.answers[1].content == run.result(bytes(most))
    text = b"command data exceeds the limit of %d bytes (command_data)" % most
    assert run.transport.wire.count(text) == 1
    assert run.answers[5].content == run.result(b"plain")
    assert run.transport.outcomes == [FINISHED]


@every_dialect
def test_input_that_ends_inside_the_only_request_fails_the_exchange(dialect: str) -> None:
    reader = Reader()
    run = Responding(dialect, reader.command)
    run.announce(1, "reader")
    run.data(1, b"some")
    run.end()
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    assert error.malformed
    assert error.message == "input ended before the command data of request 1"
    assert run.transport.writes == []


@every_dialect
def test_input_that_ends_inside_a_later_request_is_that_requests_error(dialect: str) -> None:
    reader = Reader()
    reader.open()
    run = Responding(dialect, reader.command, make_command(plain))
    run.ask(1, "plain")
    run.announce(3, "reader")
    run.announce(5, "plain")
    run.data(3, b"some")
    run.end()
    assert run.transport.outcomes == [FINISHED]
    assert run.answers[1].content == run.result(b"plain")
    assert b"input ended before the command data of request 3" in run.transport.wire
    assert b"input ended before the command data of request 5" in run.transport.wire


@every_dialect
def test_data_of_a_queued_command_waits_for_it(dialect: str) -> None:
    gate: Deferred[bytes] = Deferred()

    async def gated(context: Any) -> bytes:
        await context.data.read()
        return await gate

    reader = Reader()
    reader.open()
    run = Responding(dialect, make_command(gated, has_data=True), reader.command)
    run.ask(1, "gated", data=b"")
    run.ask(3, "reader", data=b"data")
    assert reader.pieces == []
    run.end()
    gate.callback(b"opened")
    assert run.order == [1, 3]
    assert run.answers[3].content == run.result(b"4")


@every_dialect
def test_too_much_data_of_a_queued_command_fails_the_exchange(dialect: str) -> None:
    async def gated(context: Any) -> bytes:
        return await context.data.read()  # type: ignore[no-any-return]

    reader = Reader()
    run = Responding(dialect, make_command(gated, has_data=True), reader.command)
    run.announce(1, "gated")
    run.announce(3, "reader")
    for _ in range(8):
        run.data(3, OBJECT)
    assert run.transport.outcomes == []
    run.data(3, b"+")
    (error,) = run.transport.outcomes
    assert isinstance(error, RemoteProtocolError)
    assert error.malformed
    assert error.message == (
        "data of request 3 has to wait for an earlier command and exceeds the limit of "
        "262144 bytes (buffered_data)"
    )
    assert run.transport.writes == []


@every_dialect
@both_duplexes
def test_an_echo_longer_than_the_high_mark_leaves_before_input_has_ended(
    dialect: str, *, half_duplex: bool
) -> None:
    async def echo(context: Any) -> AsyncIterator[bytes]:
        async for piece in context.data:
            yield piece

    run = Responding(dialect, make_command(echo, has_data=True), half_duplex=half_duplex)
    run.announce(1, "echo")
    for _ in range(100):
        run.data(1, OBJECT)
        run.run_turns()
        assert run.connection.output_size <= run.limits.output_high + len(OBJECT)
    assert run.transport.size > 90 * len(OBJECT)
    assert "pause" not in run.transport.input
    run.data(1, b"", is_last=True)
    run.end()
    run.run_turns()
    assert run.answers[1].content == run.result(*[OBJECT] * 100)
    assert run.transport.outcomes == [FINISHED]


@every_dialect
def test_a_released_answer_ends_with_an_error_frame_when_input_breaks(dialect: str) -> None:
    async def echo(context: Any) -> AsyncIterator[bytes]:
        async for piece in context.data:
            yield piece

    run = Responding(dialect, make_command(echo, has_data=True))
    run.announce(1, "echo")
    for _ in range(20):
        run.data(1, OBJECT)
        run.run_turns()
    run.receive(peers.frame(7, 0, request_id=1))
    assert isinstance(run.transport.outcomes[0], RemoteProtocolError)
    last = peers.parse_frames(run.transport.wire)[-1]
    assert last.type_number == peers.NUMBERS[dialect]["error"]


async def echoes(context: Any) -> AsyncIterator[bytes]:
    async for piece in context.data:
        yield piece


@every_dialect
@both_duplexes
def test_a_command_that_answers_its_data_in_front_of_broken_input_is_no_fault_of_its_own(
    dialect: str, *, half_duplex: bool
) -> None:
    run = Responding(dialect, make_command(echoes, has_data=True), half_duplex=half_duplex)
    frames = peers.request_frames(dialect, 1, b"echoes", data=bytes(400_000), cut=4000)
    run.receive(*frames[:9])
    run.receive(b"".join(frames[9:]) + peers.frame(1, 1, b"\xa0", request_id=9))
    (outcome,) = run.transport.outcomes
    assert isinstance(outcome, RemoteProtocolError)  # and nothing was logged: see conftest
