"""The store of files keeps what has come of an upload, and stays in its folder."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.embedding import calling, reactor
from support.responding import ensure_deferred

from examples.file_store import file_store
from wiredaemon import CommandError, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from wiredaemon.client import Connection

CONTENT = b"".join(bytes([number % 251]) * 1000 for number in range(3000))
SUM = hashlib.sha256(CONTENT).hexdigest()


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[Connection]:
    make: Any = file_store.FileStore  # an example has no annotations
    service = Service(reactor=reactor(), allow_plain=True)
    service.add_object(make(folder))
    listener = await service.listen("tcp:0:interface=127.0.0.1")
    try:
        async with calling(listener.url) as connection:
            yield connection
    finally:
        await service.stop()


async def put(connection: Connection, data: Any, *, name: str = "a", **others: Any) -> Any:
    arguments = {"name": name, "sha256": SUM, "start": 0, **others}
    return await connection.call("put", arguments, data=data)


async def names(connection: Connection) -> list[Any]:
    return [one[b"name"] async for one in connection.call("files")]


class BreaksOffError(Exception):
    """The sender cannot go on."""


def broken_off() -> Iterator[bytes]:
    yield from (CONTENT[place : place + 100_000] for place in range(0, 2_000_000, 100_000))
    raise BreaksOffError


@ensure_deferred
async def test_an_upload_that_breaks_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with connected(tmp_path) as connection:
        with pytest.raises(BreaksOffError):
            await put(connection, broken_off())
        assert await names(connection) == []
        start = await connection.call("received", {"sha256": SUM})
        assert isinstance(start, int)
        assert 0 < start <= 2_000_000
        assert await put(connection, CONTENT[start:], start=start) == len(CONTENT)
        assert await names(connection) == [b"a"]
        got = [piece async for piece in connection.call("get", {"name": "a"})]
        assert b"".join(got) == CONTENT
        assert await connection.call("received", {"sha256": SUM}) == 0


@ensure_deferred
async def test_what_goes_on_elsewhere_or_is_something_else_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as connection:
        with pytest.raises(CommandError, match="0 bytes are here, not 7"):
            await put(connection, b"x", start=7)
        with pytest.raises(CommandError, match="what has arrived is not what was sent"):
            await put(connection, b"something else")
        assert await names(connection) == []
        # Nothing of it is left.
        assert await connection.call("received", {"sha256": SUM}) == 0


@ensure_deferred
async def test_a_file_is_replaced_and_removed(tmp_path: Path) -> None:
    async with connected(tmp_path) as connection:
        for content in (b"old", CONTENT):
            await put(connection, content, sha256=hashlib.sha256(content).hexdigest())
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert await connection.call("remove", {"name": "a"}) is None
        assert await names(connection) == []
        for command in ("get", "remove"):
            with pytest.raises(CommandError, match="there is no file a"):
                await connection.call(command, {"name": "a"})


@ensure_deferred
@pytest.mark.parametrize("name", ["../a", "/etc/passwd", ".incoming", "", "a/b", "a\n", "x" * 101])
async def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    async with connected(tmp_path) as connection:
        for call in (
            put(connection, CONTENT, name=name),
            connection.call("get", {"name": name}).result(),
            connection.call("remove", {"name": name}).result(),
        ):
            with pytest.raises(CommandError, match="cannot be the name of a file"):
                await call
        with pytest.raises(CommandError, match="a SHA-256 has 64 digits"):
            await put(connection, CONTENT, sha256=name)


@ensure_deferred
async def test_files_are_bounded_in_size_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "LARGEST", 2_000_000)
    monkeypatch.setattr(file_store, "MOST", 1)
    async with connected(tmp_path) as connection:
        with pytest.raises(CommandError, match="a file has at most 2000000 bytes"):
            await put(connection, CONTENT)
        with pytest.raises(CommandError, match="1 uploads have broken off"):
            await put(connection, b"", sha256="0" * 64)
        (tmp_path / ".incoming" / SUM).unlink()
        await put(connection, b"x", sha256=hashlib.sha256(b"x").hexdigest())
        with pytest.raises(CommandError, match="there are 1 files already"):
            await put(connection, b"y", name="b")
