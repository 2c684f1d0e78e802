from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.responding import ensure_deferred

from wiredaemon.client.flow_control import FlowControl
from wiredaemon.client.outgoing_data import pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wiredaemon.client.outgoing_data import Data

LARGE = bytes(300_000)


async def slowly() -> AsyncIterator[bytes]:
    yield b"a"
    yield b""
    yield LARGE


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (b"", []),
        (b"abc", [3]),
        (LARGE, [131_072, 131_072, 37_856]),
        ([b"a", b"", b"bc"], [1, 2]),
        (iter([LARGE]), [131_072, 131_072, 37_856]),
        (slowly(), [1, 131_072, 131_072, 37_856]),
    ],
)
@ensure_deferred
async def test_data_is_cut_into_pieces_of_a_bounded_size(data: Data, sizes: list[int]) -> None:
    assert [len(piece) async for piece in pieces(data)] == sizes


@ensure_deferred
async def test_an_open_flow_lets_everybody_pass() -> None:
    await FlowControl().drain()


@ensure_deferred
async def test_a_closed_flow_holds_everybody_until_it_opens_or_ends() -> None:
    from twisted.internet.defer import Deferred  # noqa: PLC0415 beside its use

    for release in ("resumeProducing", "stopProducing"):
        flow = FlowControl()
        flow.pauseProducing()
        waiting = [Deferred.fromCoroutine(flow.drain()) for _ in range(2)]
        assert not any(one.called for one in waiting)
        getattr(flow, release)()
        assert all(one.called for one in waiting)
