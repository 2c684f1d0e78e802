from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from support.responding import ensure_deferred
from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.daemon.call_input import Input

if TYPE_CHECKING:
    from pathlib import Path


def opened(descriptor: int) -> Input:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    return Input(anywhere, descriptor, "the input")


async def collect(given: Input) -> bytes:
    return b"".join([piece async for piece in given])


@pytest.mark.parametrize("size", [0, 1, 300_000])
@ensure_deferred
async def test_a_file_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(size))
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert await collect(opened(descriptor)) == bytes(size)
    finally:
        os.close(descriptor)


@ensure_deferred
async def test_a_pipe_is_read_as_it_is_written() -> None:
    end, begin = os.pipe()
    try:
        iterator = aiter(opened(end))
        for piece in (b"one", b"two"):
            waiting = Deferred.fromCoroutine(anext(iterator))
            assert not waiting.called
            os.write(begin, piece)
            assert await waiting == piece
        waiting = Deferred.fromCoroutine(anext(iterator))
        os.close(begin)
        with pytest.raises(StopAsyncIteration):
            await waiting
    finally:
        os.close(end)


@ensure_deferred
async def test_waiting_for_a_pipe_can_be_given_up() -> None:
    end, begin = os.pipe()
    try:
        given = opened(end)
        waiting = Deferred.fromCoroutine(collect(given))
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        os.write(begin, b"later")
        assert await anext(aiter(given)) == b"later"
    finally:
        os.close(end)
        os.close(begin)


@ensure_deferred
async def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError, match="the input"):
            await collect(opened(descriptor))
    finally:
        os.close(descriptor)
