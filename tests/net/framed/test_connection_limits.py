"""The limits of raw connections, in memory: frames, requests, idle times, refusals."""

from __future__ import annotations

from typing import Any, Final

import pytest
from support import peers
from support.raw import Raw, protocol_error
from support.responding import make_command
from twisted.internet.defer import Deferred

from wiredaemon.wire.limits import Limits


def plain(_: Any) -> bytes:
    return b"plain"


async def count(context: Any) -> int:
    return sum([len(piece) async for piece in context.data])


PLAIN: Final = make_command(plain)
COUNT: Final = make_command(count, has_data=True)
REQUEST: Final = peers.item({b"name": b"count"}, canonical=False)


def error_of(raw: Raw) -> bytes:
    """The payload of the last frame, which is an error frame."""
    return peers.parse_frames(raw.wire)[-1].payload


@pytest.mark.parametrize("before", [0, 1])
def test_the_header_of_a_frame_must_be_complete_in_time(before: int) -> None:
    raw = Raw("0006", PLAIN)
    for number in range(before):
        raw.ask(2 * number + 1, "plain")
    for byte in raw.request(9, "plain")[:7]:
        raw.receive(bytes([byte]))
        raw.wait(1)
    raw.wait(4)
    text = b"the request is not complete within 10 s (frame_header_seconds)"
    assert error_of(raw) == protocol_error("0006", text)
    assert not raw.transport.is_open()


@pytest.mark.parametrize("size", [9, -1])
def test_a_request_must_be_complete_in_time_whatever_comes_of_it(size: int) -> None:
    raw = Raw("0006", PLAIN)
    raw.receive(raw.request(1, "plain")[:size])
    raw.wait(60)
    assert raw.transport.is_open()
    raw.wait(1)
    text = b"the request is not complete within 60 s (request_seconds)"
    assert error_of(raw) == protocol_error("0006", text)


def test_frames_of_a_request_do_not_put_off_its_end() -> None:
    raw = Raw("0006", PLAIN)
    new, more = 0x01 | 0x04, 0x02 | 0x04
    raw.receive(peers.frame(1, new, b"\xa1"))
    for _ in range(30):
        raw.wait(2)
        raw.receive(peers.frame(1, more, b"x"))
    raw.wait(2)
    assert b"request_seconds" in error_of(raw)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    raw = Raw("0006", PLAIN)
    raw.wait(200)
    raw.ask(1, "plain")
    sent = raw.wire
    raw.wait(300)
    assert raw.transport.is_open()
    raw.wait(1)
    assert raw.wire == sent
    assert not raw.transport.is_open()


def test_a_connection_whose_command_runs_is_not_idle() -> None:
    waits: Deferred[bytes] = Deferred()

    async def gated(_: Any) -> bytes:
        return await waits

    raw = Raw("0006", make_command(gated))
    raw.ask(1, "gated")
    raw.wait(1000)
    assert raw.transport.is_open()
    waits.callback(b"done")
    raw.wait(299)
    assert raw.transport.is_open()
    raw.wait(2)
    assert not raw.transport.is_open()


def test_a_command_waits_for_its_data_as_long_as_some_comes_now_and_then() -> None:
    raw = Raw("0006", COUNT)
    raw.receive(*peers.map_frames("0006", 1, REQUEST, has_data=True))
    for _ in range(3):
        raw.wait(299)
        raw.receive(peers.frame(2, 0x01, b"data"))
        assert raw.transport.is_open()
    raw.wait(301)
    assert not raw.transport.is_open()


def test_the_time_in_which_the_peer_is_paused_does_not_count() -> None:
    waits: list[Deferred[bytes]] = []

    async def gated(_: Any) -> bytes:
        waits.append(Deferred())
        return await waits[-1]

    raw = Raw("0006", make_command(gated), limits=Limits(concurrent_requests=1))
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"), raw.request(5, "gated")[:9])
    assert raw.transport.is_paused()
    raw.wait(200)
    assert raw.transport.is_open()


def test_a_connection_too_many_gets_an_error_frame_that_names_the_limit() -> None:
    raw = Raw("0006", PLAIN, limits=Limits(connections=0))
    text = b"there are 0 connections already (connections); try again in 10 s"
    assert error_of(raw) == protocol_error("0006", text)
    assert not raw.transport.is_open()
    raw.receive(raw.request(1, "plain"))
    assert raw.order == [0]


def test_a_secure_connection_too_many_is_cut_off_before_its_handshake() -> None:
    raw = Raw("0006", PLAIN, is_tls=True, limits=Limits(connections=0))
    assert (raw.wire, raw.transport.is_aborted()) == (b"", True)


def test_connections_that_break_the_protocol_or_leave_their_commands_are_failures() -> None:
    async def gated(_: Any) -> bytes:
        return await Deferred()

    limits = Limits(failed_requests=1, failed_requests_rate=0.01)
    raw = Raw("0006", PLAIN, make_command(gated), limits=limits)
    raw.ask(1, "gated")
    raw.lose()
    again = Raw("0006", PLAIN, limits=limits, factory=raw.factory)
    again.receive(b"\xff" * 8)
    refused = Raw("0006", PLAIN, limits=limits, factory=raw.factory)
    assert b"(failed_requests); try again in" in error_of(refused)


def test_a_handshake_has_its_time() -> None:
    raw = Raw("0006", PLAIN, is_tls=True)
    raw.wait(11)
    assert raw.transport.is_aborted()
    ready = Raw("0006", PLAIN, is_tls=True)
    ready.protocol.handshakeCompleted()
    ready.wait(11)
    assert ready.transport.is_open()


def test_a_peer_that_never_closes_its_side_is_cut_off() -> None:
    raw = Raw("0006", PLAIN)
    raw.receive(b"\xff" * 8)
    raw.wait(15)
    assert not raw.transport.is_aborted()
    raw.wait(1)
    assert raw.transport.is_aborted()
