"""The examples of documents, for the tests that run them as they stand there."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING, Any

from support.environment import ROOT

from tools.newcomer.page import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def blocks(document: str, language: str) -> list[str]:
    """The text of each block of a language in a document.

    A test that calls this runs or checks all of them: `tests/docs/test_blocks.py` looks for such
    calls, with the names written out, and finds the blocks that no test asks for.
    """
    found = [block.text for block in blocks_of(ROOT / document) if block.language == language]
    assert found, f"{document} has no block of the language {language}"
    return found


def documented(first: str, document: str = "docs/proxies.md") -> str:
    """The text of the block of a document that begins with a comment.

    Such a block is claimed by the test that has the comment as a text.

    Raises:
        AssertionError: There is no such one.
    """
    texts = [block.text for block in blocks_of(ROOT / document)]
    found = [text for text in texts if first_comment(text) == first]
    assert found, f"{document} has no example {first!r}"
    return found[0]


def first_comment(text: str) -> str:
    """The comment that a block begins with, behind a line that names its shell; or nothing."""
    found = re.match(r"(?:#!.*\n)?# (.+)\n", text)
    return found[1] if found else ""


async def run_blocks(texts: Iterable[str], name: str, names: dict[str, Any]) -> None:
    """Run blocks one behind the other, with ``await`` as in a coroutine."""
    for place, text in enumerate(texts):
        code = compile(text, f"{name}, block {place}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ended = eval(code, names)  # noqa: S307 the document's own code
        if inspect.iscoroutine(ended):
            await ended
