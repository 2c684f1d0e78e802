"""Ports of a service: where they are, and how they are stopped."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.embedding import calling, reactor
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread

from wiredaemon import Permission, Service
from wiredaemon.client import ConnectError, ConnectionLostError, connect
from wiredaemon.net.endpoints import EndpointError

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "127.77.0.1"
"""One of these tests alone: on 127.0.0.1 a port that they close may soon be another test's."""
LOOPBACK = f"tcp:0:interface={ADDRESS}"


class Gates:
    """Commands that wait until the test opens them."""

    def __init__(self) -> None:
        self.started: Deferred[None] = Deferred()
        self.open: Deferred[None] = Deferred()


def waiting() -> Service:
    service = Service(Gates())

    @service.command("wait", permission=Permission.RO)
    async def wait(context: Any) -> bytes:
        context.state.started.callback(None)
        await context.state.open
        return b"done"

    service.command("quick", permission=Permission.RO)(lambda _context: b"quick")
    return service


@pytest.mark.parametrize("kind", ["hgrpc", "http"])
@ensure_deferred
async def test_a_stopped_port_lets_its_calls_end_and_refuses_others(kind: str) -> None:
    service = waiting()
    gates: Any = service.state
    listen = service.listen if kind == "hgrpc" else service.listen_http
    listener, other = await listen(LOOPBACK), await listen(LOOPBACK)
    async with calling(other.url) as beside, calling(listener.url) as connection:
        call = connection.call(b"wait").result()
        running = Deferred.fromCoroutine(_of(call))
        await gates.started
        stopping = Deferred.fromCoroutine(listener.stop())
        assert not stopping.called
        gates.open.callback(None)
        assert await running == b"done"
        await stopping
        # Connections of the other port stay as they were.
        assert await beside.call(b"quick").result() == b"quick"
        with pytest.raises(ConnectError):
            await connect(reactor(), listener.url)
    await service.stop()


async def _of(awaitable: Any) -> Any:
    return await awaitable


@ensure_deferred
async def test_calls_that_do_not_end_in_time_are_cut_off() -> None:
    service = waiting()
    gates: Any = service.state
    listener = await service.listen(LOOPBACK)
    # Its client would go on trying to call once more what only reads.
    async with calling(listener.url, retries=0) as connection:
        running = Deferred.fromCoroutine(_of(connection.call(b"wait").result()))
        await gates.started
        await listener.stop(0.01)
        with pytest.raises(ConnectionLostError):
            await running
        with pytest.raises(ConnectError):
            await connect(reactor(), listener.url)
    assert len(service.serving.guard) == 0


@ensure_deferred
async def test_stopping_twice_does_nothing_more() -> None:
    service = waiting()
    listener = await service.listen(LOOPBACK)
    await listener.stop()
    await listener.stop()
    await service.stop()
    await service.stop()
    await Service().stop()


@ensure_deferred
async def test_nothing_of_a_stopped_service_is_left_in_the_reactor() -> None:
    before = {*reactor().getReaders(), *reactor().getDelayedCalls()}
    service = waiting()
    listener = await service.listen(LOOPBACK)
    async with calling(listener.url) as connection:
        assert await connection.call(b"quick").result() == b"quick"
    await service.stop()
    assert {*reactor().getReaders(), *reactor().getDelayedCalls()} <= before


@ensure_deferred
async def test_a_unix_socket_is_named_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    service = waiting()
    listener = await service.listen("unix:socket")
    assert listener.url == f"unix:{tmp_path}/socket"
    async with calling(listener.url) as connection:
        assert await connection.call(b"quick").result() == b"quick"
    other = await service.listen_http(f"unix:{tmp_path}/other")
    assert other.url == f"http+unix:{tmp_path}/other"
    await service.stop()


# Twisted 24.10 leaves the socket of such a port to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@ensure_deferred
async def test_a_port_that_cannot_be_opened_says_why() -> None:
    service = waiting()
    listener = await service.listen(LOOPBACK)
    with pytest.raises(CannotListenError):
        await service.listen(f"tcp:{listener.address.port}:interface={ADDRESS}")
    with pytest.raises(EndpointError):
        await service.listen_http("nowhere:0")
    await service.stop()
    gc.collect()


@ensure_deferred
async def test_a_command_that_says_nothing_ends_with_the_process_of_its_caller() -> None:
    service = waiting()
    ended: Deferred[None] = Deferred()

    @service.command("silent", permission=Permission.RO)
    async def silent(_: Any) -> None:
        try:
            await Deferred()
        finally:
            ended.callback(None)

    listener = await service.listen(LOOPBACK)
    program = f"""if True:
        import os
        from wiredaemon.client import blocking
        connection = blocking.connect("{listener.url}")
        call = connection.call("silent")
        try:
            connection.call("quick").result()
        finally:
            os._exit(0)  # what the system then closes is all that the server sees
    """
    await deferToThread(subprocess.run, [sys.executable, "-c", program], check=True)
    await ended
    await service.stop()
