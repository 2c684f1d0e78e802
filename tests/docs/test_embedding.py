"""The examples of docs/embedding.md are run as they stand there."""

from __future__ import annotations

from typing import Any

from support.documents import blocks, run_blocks
from support.embedding import reactor
from support.responding import ensure_deferred


@ensure_deferred
async def test_the_examples_do_what_the_text_says() -> None:
    names: dict[str, Any] = {"reactor": reactor(), "__name__": "embedding"}
    await run_blocks(blocks("docs/embedding.md", "python"), "embedding.md", names)
    assert names["left"] == 2
    assert names["described"] == b"Lend some copies of a book, and return how many are left."
    assert names["found"] == [b"Emma"]
    assert names["refused"] == "push not authorized"
    assert names["service"].state.books == {"Emma": 2}
