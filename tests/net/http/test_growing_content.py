"""The bytes of a body while it arrives: what is taken is what was added, small or large."""

from __future__ import annotations

import pytest

from wiredaemon.net.http.growing_content import GrowingContent

_KIB = 1024


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0],
        [1, 2, 3],
        [64 * _KIB - 1],
        [64 * _KIB],
        [64 * _KIB - 1, 1],
        [3 * 1024 * _KIB],
        [100 * _KIB] * 30,
        [1] * 200 + [60 * _KIB] * 5 + [7],
    ],
)
def test_what_is_taken_is_what_was_added(sizes: list[int]) -> None:
    pieces = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    content = GrowingContent()
    for piece in pieces:
        content.append(piece)
    assert len(content) == sum(sizes)
    assert bytes(content.take()) == b"".join(pieces)


@pytest.mark.parametrize("size", [10, 100 * _KIB])
def test_content_that_was_taken_or_dropped_is_held_no_more(size: int) -> None:
    content = GrowingContent()
    content.append(b"a" * size)
    content.drop()
    assert len(content) == 0
    assert bytes(content.take()) == b""
    content.append(b"b" * size)
    taken = content.take()
    content.append(b"c" * size)
    assert bytes(taken) == b"b" * size
    assert bytes(content.take()) == b"c" * size
