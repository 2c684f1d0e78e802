"""Receivers of a client's stream, and what waits for them in the loop of scripts."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from wiredaemon.client.address import parse_url
from wiredaemon.client.blocking_stream import BlockingStream
from wiredaemon.client.blocking_waits import BlockingWaiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.blocking_loop import BlockingLoop
    from wiredaemon.client.errors import ClientError

ADDRESS = parse_url("hgrpc://server.example/")


class Receiving:
    """A receiver that keeps all that it is told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.sizes: list[int] = []
        self.ends: list[ClientError] = []
        self.output: list[str] = []
        self.waiter = BlockingWaiter()

    def receive_data(self, data: bytes) -> None:
        self.data += data
        self.sizes.append(len(data))
        self.waiter.wake()

    def receive_end(self, error: ClientError) -> None:
        self.ends.append(error)
        self.waiter.wake()

    def pause_output(self) -> None:
        self.output.append("pause")
        self.waiter.wake()

    def resume_output(self) -> None:
        self.output.append("resume")
        self.waiter.wake()

    def wait(self, loop: BlockingLoop, condition: Callable[[], object]) -> None:
        """Run a loop until something is as it should be."""
        while not condition():
            self.waiter = BlockingWaiter()
            loop.wait(self.waiter)

    @property
    def end(self) -> tuple[str, str]:
        """The error of the one end, as its class and its text."""
        (error,) = self.ends
        return type(error).__name__, str(error)


def stream_pair(loop: BlockingLoop, receiver: Receiving) -> tuple[BlockingStream, socket.socket]:
    """A stream of a Unix socket, and its peer, which blocks."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    return BlockingStream(loop, ours, ADDRESS, receiver), theirs
