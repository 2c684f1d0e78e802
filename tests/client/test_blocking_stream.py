from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from support.receiving import ADDRESS, Receiving, stream_pair

from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_stream import BlockingStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOSED = ("ConnectionClosedError", "server.example:8010 closed the connection")
LOST = ("ConnectionLostError", "the connection to server.example:8010 was lost")
MIB = 1024 * 1024


class Pair:
    """A stream, its receiver, and its peer, which blocks."""

    def __init__(self) -> None:
        self.loop = BlockingLoop()
        self.receiver = Receiving()
        self.stream, self.peer = stream_pair(self.loop, self.receiver)

    def wait(self, condition: Any) -> None:
        self.receiver.wait(self.loop, condition)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.stream.drop()
    made.peer.close()


def tcp_pair(loop: BlockingLoop, receiver: Receiving) -> tuple[BlockingStream, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.settimeout(0)
    return BlockingStream(loop, ours, ADDRESS, receiver), theirs


def test_bytes_come_and_go(pair: Pair) -> None:
    pair.peer.sendall(b"from the server")
    pair.wait(lambda: pair.receiver.data)
    assert pair.receiver.data == b"from the server"
    pair.stream.write([b"to ", b"the ", b"server"])
    pair.stream.write([b"!"])
    assert pair.peer.recv(100) == b"to the server!"


def test_a_connection_that_fails_was_lost_and_not_unreachable(pair: Pair, tmp_path: Path) -> None:
    # No network can be cut here: what takes the socket's place fails as reads do then.
    with (tmp_path / "file").open("wb") as file:
        os.dup2(file.fileno(), pair.stream._descriptor)
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.end == (LOST[0], f"{LOST[1]}: {os.strerror(errno.ENOTSOCK)}")


def test_a_peer_that_does_not_read_pauses_the_writer_and_gets_all_in_order(pair: Pair) -> None:
    sent = bytearray()
    while not pair.receiver.output:
        piece = len(sent).to_bytes(4, "big") * 1000
        sent += piece
        pair.stream.write([piece])
    for word in (b"small ", b"pieces"):
        sent += word
        pair.stream.write([word])
    assert pair.receiver.output == ["pause"]
    pair.peer.settimeout(0)
    received = bytearray()
    while len(received) < len(sent):
        pair.loop.look()
        try:
            received += pair.peer.recv(MIB)
        except BlockingIOError:
            continue
    assert received == sent
    assert pair.receiver.output == ["pause", "resume"]


def test_a_paused_stream_reads_nothing_also_not_the_end(pair: Pair) -> None:
    pair.stream.pause_input()
    pair.stream.pause_input()
    pair.peer.sendall(b"data")
    pair.peer.close()
    pair.loop.look()
    assert pair.receiver.data == b""
    pair.stream.resume_input()
    pair.stream.resume_input()
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.data == b"data"
    assert pair.receiver.end == CLOSED
    pair.stream.resume_input()
    pair.stream.write([b"nobody"])
    pair.stream.close()
    pair.stream.abort()
    pair.loop.look()
    assert len(pair.receiver.ends) == 1


def test_a_receiver_may_pause_with_each_read(pair: Pair) -> None:
    class OneByOne(Receiving):
        def receive_data(self, data: bytes) -> None:
            super().receive_data(data)
            stream.pause_input()

    receiver = OneByOne()
    stream, peer = stream_pair(pair.loop, receiver)
    peer.sendall(bytes(200_000))
    pair.loop.look()
    assert len(receiver.sizes) == 1
    stream.resume_input()
    pair.loop.look()
    assert len(receiver.sizes) == 2
    stream.drop()
    peer.close()


def test_reads_are_larger_while_much_comes(pair: Pair) -> None:
    stream, peer = tcp_pair(pair.loop, pair.receiver)
    peer.settimeout(0)
    sent = 0
    while len(pair.receiver.data) < 4 * MIB:
        if sent < 4 * MIB:
            with suppress(BlockingIOError):
                sent += peer.send(bytes(MIB))
        pair.loop.look()
    assert pair.receiver.sizes[0] == 32768
    assert 32768 < max(pair.receiver.sizes) <= 262144
    stream.drop()
    peer.close()


def test_a_closed_stream_sends_what_was_written_first(pair: Pair) -> None:
    pair.stream.write([bytes(32 * MIB)])
    pair.stream.close()
    pair.stream.close()
    pair.stream.write([b"too late"])
    pair.loop.look()
    assert pair.receiver.ends == []
    pair.peer.settimeout(0)
    received = 0
    while not pair.receiver.ends:
        pair.loop.look()
        try:
            received += len(pair.peer.recv(MIB))
        except BlockingIOError:
            continue
    pair.peer.settimeout(None)
    while data := pair.peer.recv(MIB):
        received += len(data)
    assert received == 32 * MIB
    assert pair.receiver.end == CLOSED


def test_a_stream_without_output_is_closed_in_the_next_turn(pair: Pair) -> None:
    pair.stream.close()
    assert pair.receiver.ends == []
    pair.loop.look()
    assert pair.receiver.end == CLOSED
    assert pair.peer.recv(1) == b""


def test_an_abort_resets_and_drops_what_was_written(pair: Pair) -> None:
    stream, peer = tcp_pair(pair.loop, pair.receiver)
    stream.write([b"x" * 100])
    assert peer.recv(100) == b"x" * 100
    stream.abort()
    stream.abort()
    with pytest.raises(ConnectionResetError):
        peer.recv(100)
    assert pair.receiver.ends == []
    pair.loop.look()
    assert pair.receiver.end == LOST
    peer.close()


def test_a_unix_socket_is_aborted_by_its_end(pair: Pair) -> None:
    pair.stream.abort()
    pair.loop.look()
    assert pair.receiver.end == LOST
    assert pair.peer.recv(1) == b""


def test_a_peer_that_resets_is_lost(pair: Pair) -> None:
    stream, peer = tcp_pair(pair.loop, pair.receiver)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.end == LOST
    stream.write([b"nobody"])


def test_what_a_peer_said_last_is_read_though_nothing_can_be_sent_any_more(pair: Pair) -> None:
    stream, peer = tcp_pair(pair.loop, pair.receiver)
    stream.write([b"one"])
    peer.sendall(bytes(100_000))
    peer.close()  # without having read: a reset
    stream.pause_input()
    stream.write([b"two"])
    stream.write([b"three"])
    pair.loop.look()
    assert pair.receiver.ends == []
    stream.resume_input()
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.data == bytes(100_000)
    assert pair.receiver.end == LOST


def test_a_peer_that_goes_while_output_waits_is_found(pair: Pair) -> None:
    pair.stream.write([bytes(32 * MIB)])
    pair.peer.sendall(b"enough")
    pair.peer.close()
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.data == b"enough"
    assert pair.receiver.end == LOST


def test_a_peer_that_goes_while_the_rest_is_sent_ends_a_closed_stream(pair: Pair) -> None:
    pair.stream.write([bytes(32 * MIB)])
    pair.stream.close()
    pair.peer.close()
    pair.wait(lambda: pair.receiver.ends)
    assert pair.receiver.end == LOST


def test_a_receiver_that_fails_has_no_stream_any_more(pair: Pair) -> None:
    class Failing(Receiving):
        def receive_data(self, data: bytes) -> None:
            raise LookupError(data)

    receiver = Failing()
    _, peer = stream_pair(pair.loop, receiver)
    peer.sendall(b"data")
    receiver.wait(pair.loop, lambda: receiver.ends)
    assert receiver.end == (
        "ConnectionLostError",
        "the connection to server.example:8010 failed: b'data'",
    )
    assert peer.recv(1) == b""
    peer.close()


def test_ctrl_c_within_a_receiver_is_raised_and_its_half_read_stream_closed(pair: Pair) -> None:
    class Interrupted(Receiving):
        def receive_data(self, _: bytes) -> None:
            raise KeyboardInterrupt

    receiver = Interrupted()
    _, peer = stream_pair(pair.loop, receiver)
    peer.sendall(b"data")
    with pytest.raises(KeyboardInterrupt):
        pair.loop.look()
    assert receiver.end == (
        "ConnectionLostError",
        "the connection to server.example:8010 failed: KeyboardInterrupt",
    )
    peer.close()
