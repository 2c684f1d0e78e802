from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.client.errors import ClientError
from wiredaemon.client.flow_control import FlowControl
from wiredaemon.client.outgoing_data import checked_data, pieces
from wiredaemon.client.twisted_runtime import TwistedRuntime

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


def test_an_open_flow_lets_everybody_pass_in_the_next_turn() -> None:
    clock = Clock()
    waiting = Deferred.fromCoroutine(FlowControl(TwistedRuntime(clock)).drain())
    assert not waiting.called
    clock.advance(0)
    assert waiting.called


def test_a_closed_flow_holds_everybody_until_it_opens() -> None:
    clock = Clock()
    flow = FlowControl(TwistedRuntime(clock))
    flow.pause()
    waiting = [Deferred.fromCoroutine(flow.drain()) for _ in range(2)]
    clock.advance(0)
    assert not any(one.called for one in waiting)
    flow.resume()
    assert all(one.called for one in waiting)


def test_data_that_is_bytes_in_all_but_name_is_sent() -> None:
    assert checked_data(bytearray(b"ab")) == checked_data(memoryview(b"ab")) == b"ab"


@pytest.mark.parametrize(("data", "kind"), [("text", "str"), (3, "int"), (object(), "object")])
def test_data_that_cannot_be_sent_is_known_before_anything_is(data: object, kind: str) -> None:
    with pytest.raises(ClientError, match=rf"^data is bytes, or gives bytes, not {kind}$"):
        checked_data(data)
