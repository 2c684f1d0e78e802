"""Runs the examples of documents as they stand there."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks_of(document: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of code."""
    return _BLOCK.findall(document.read_text("utf-8"))


async def run_blocks(document: Path, names: dict[str, Any]) -> None:
    """Run all blocks one behind the other, with ``await`` as in a coroutine."""
    for place, (language, text) in enumerate(blocks_of(document)):
        assert language == "python", text
        code = compile(
            text, f"{document.name}, block {place}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        ended = eval(code, names)  # noqa: S307 the document's own code
        if inspect.iscoroutine(ended):
            await ended
