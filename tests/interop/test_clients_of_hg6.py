"""Each of the three clients against a real `hg serve` 6.0.3, which is no server of ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.hg import copy_repository, hg_serve
from support.responding import ensure_deferred

from wiredaemon.client import ClientOptions, HttpAnswerError, aio, blocking, connect
from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.conftest import Generated
    from support.hg import Hg

OPTIONS = ClientOptions(silent_seconds=60, timeout=60)


@pytest.fixture(scope="module")
def url(hg6: Hg, short: Generated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("clients")
    read = copy_repository(short.folder, folder / "read")
    with hg_serve(hg6, {"read": read}, folder) as served:
        yield f"{served}/read"


@pytest.fixture(scope="module")
def heads(hg6: Hg, short: Generated) -> list[str]:
    return sorted(hg6.nodes("heads(not secret())", folder=short.folder))


def shown(nodes: list[bytes]) -> list[str]:
    return sorted(node.hex() for node in nodes)


def test_a_script(url: str, heads: list[str]) -> None:
    with blocking.connect(url, OPTIONS) as connection:
        for _ in range(3):  # on one kept connection
            assert shown(connection.call("heads").result()) == heads
        assert connection.call("known", {"nodes": [bytes(20)]}).result() == b"1"
        with pytest.raises(ServerError, match="unknown revision"):
            connection.call("lookup", {"key": b"nosuch"}).result()


def test_asyncio(url: str, heads: list[str]) -> None:
    async def main() -> None:
        async with await aio.connect(url, OPTIONS) as connection:
            answers = await asyncio.gather(*[connection.call("heads").result() for _ in range(8)])
            assert [shown(answer) for answer in answers] == [heads] * 8
            with pytest.raises(HttpAnswerError, match=r"^HTTP 404"):
                await connection.call("nosuch")

    asyncio.run(main())


@ensure_deferred
async def test_twisted(url: str, heads: list[str]) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    async with await connect(reactor, url, OPTIONS) as connection:
        assert shown(await connection.call("heads")) == heads
