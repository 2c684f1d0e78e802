from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from wiredaemon.daemon.call_input import Input

if TYPE_CHECKING:
    from pathlib import Path


def opened(descriptor: int) -> Input:
    return Input(descriptor, "the input")


async def collect(given: Input) -> bytes:
    return b"".join([piece async for piece in given])


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_file_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(size))
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert asyncio.run(collect(opened(descriptor))) == bytes(size)
    finally:
        os.close(descriptor)


async def next_of(given: Input) -> bytes:
    return await anext(given)


def test_a_pipe_is_read_as_it_is_written() -> None:
    end, begin = os.pipe()

    async def read() -> None:
        given = opened(end)
        for piece in (b"one", b"two"):
            waiting = asyncio.create_task(next_of(given))
            await asyncio.sleep(0)
            assert not waiting.done()
            os.write(begin, piece)
            assert await waiting == piece
        waiting = asyncio.create_task(next_of(given))
        os.close(begin)
        with pytest.raises(StopAsyncIteration):
            await waiting

    try:
        asyncio.run(read())
    finally:
        os.close(end)


def test_waiting_for_a_pipe_can_be_given_up() -> None:
    end, begin = os.pipe()

    async def give_up() -> None:
        given = opened(end)
        waiting = asyncio.create_task(next_of(given))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        os.write(begin, b"later")
        assert await anext(given) == b"later"

    try:
        asyncio.run(give_up())
    finally:
        os.close(end)
        os.close(begin)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError, match="the input"):
            asyncio.run(collect(opened(descriptor)))
    finally:
        os.close(descriptor)
