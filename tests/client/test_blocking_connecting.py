from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from wiredaemon.client.blocking_connecting import Attempts
from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_names import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def server(backlog: int = 8) -> Iterator[tuple[socket.socket, SocketAddress]]:
    """A server, and its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as made:
        yield made, SocketAddress(socket.AF_INET, made.getsockname())


@contextmanager
def full() -> Iterator[SocketAddress]:
    """The address of a server that lets clients wait: neither accepted nor refused."""
    with server(backlog=0) as (_, address):
        waiting = []
        while True:
            client = socket.socket()
            client.settimeout(0.05)
            waiting.append(client)
            try:
                client.connect(address.place)
            except TimeoutError:
                break
        yield address
        for client in waiting:
            client.close()


def closed() -> SocketAddress:
    """An address where nobody listens."""
    with server() as (_, address):
        return address


def test_the_first_address_that_accepts_is_taken() -> None:
    loop = BlockingLoop()
    with server() as (accepting, address):
        attempts = Attempts(loop, [closed(), closed(), address, closed()])
        loop.wait(attempts.over)
        with attempts.take() as connection, accepting.accept()[0] as peer:
            attempts.close()
            assert connection.getpeername() == address.place
            assert not connection.getblocking()
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection.send(b"x")
            assert peer.recv(1) == b"x"


def test_an_address_that_does_not_answer_is_overtaken_and_given_up() -> None:
    now = 0.0
    loop = BlockingLoop(lambda: now)
    with full() as silent, server() as (_, address):
        attempts = Attempts(loop, [silent, address])
        loop.look()
        assert not attempts.over.is_awake
        now = 0.25
        loop.wait(attempts.over)
        with attempts.take() as connection:
            assert connection.getpeername() == address.place
        attempts.close()


def test_the_error_is_that_of_the_best_address() -> None:
    loop = BlockingLoop()
    attempts = Attempts(loop, [closed(), SocketAddress(socket.AF_UNIX, "/nowhere/s")])
    loop.wait(attempts.over)
    with pytest.raises(ConnectionRefusedError):
        attempts.take()
    attempts.close()


def test_a_family_that_the_system_does_not_have_is_passed_over() -> None:
    loop = BlockingLoop()
    with server() as (_, address):
        attempts = Attempts(loop, [SocketAddress(9999, address.place), address])
        loop.wait(attempts.over)
        attempts.take().close()


def test_a_host_may_have_hundreds_of_addresses() -> None:
    loop = BlockingLoop()
    attempts = Attempts(loop, [closed()] * 2000)
    loop.wait(attempts.over)
    with pytest.raises(ConnectionRefusedError):
        attempts.take()


def test_attempts_that_are_given_up_leave_nothing_behind() -> None:
    now = 0.0
    loop = BlockingLoop(lambda: now)
    with full() as silent, server() as (accepting, address):
        Attempts(loop, [silent, address]).close()
        now = 1.0
        loop.look()
        # One that was connected and not taken.
        attempts = Attempts(loop, [address])
        loop.wait(attempts.over)
        attempts.close()
        with accepting.accept()[0] as peer:
            assert peer.recv(1) == b""


def test_a_unix_socket_is_tried_again_while_too_many_wait_there(tmp_path: Path) -> None:
    loop = BlockingLoop()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as accepting:
        accepting.bind(path)
        accepting.listen(0)
        address = SocketAddress(socket.AF_UNIX, path)
        taken = []
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(0)
            taken.append(client)
            try:
                client.connect(path)
            except BlockingIOError:
                break
        attempts = Attempts(loop, [address])
        loop.look()
        assert not attempts.over.is_awake
        accepted = [accepting.accept()[0]]
        loop.wait(attempts.over)
        with attempts.take() as connection:
            assert connection.getpeername() == path
        for each in [*taken, *accepted]:
            each.close()


def test_there_is_no_such_unix_socket(tmp_path: Path) -> None:
    loop = BlockingLoop()
    attempts = Attempts(loop, [SocketAddress(socket.AF_UNIX, str(tmp_path / "s"))])
    loop.wait(attempts.over)
    with pytest.raises(FileNotFoundError):
        attempts.take()
