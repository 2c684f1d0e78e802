"""No block of a document escapes: each is run or checked by a test, or is no code.

A block is taken care of if one of these holds:

- its language is ``text``, which is for pictures and for what programs print, or it is a directive
  of Sphinx in braces;
- its page is followed by `tests/tools/test_newcomer.py`, or is the README of an example, which
  `tests/examples/test_readmes.py` runs;
- a test asks for all blocks of its language in its document, ``blocks("docs/users.md", "ini")``;
- it begins with a comment by which a test asks for it, ``documented("haproxy: TLS is passed on")``;
- it is a configuration or an hgrc, which is read here;
- its page is made of the code, by `make reference`, and compared with that as a whole.
"""

from __future__ import annotations

import ast
import configparser
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest
from support.documents import first_comment
from support.environment import ROOT

from tools.newcomer.page import ASIDE, blocks_of
from tools.newcomer.tasks import TASKS
from wiredaemon.daemon.config_file import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from tools.newcomer.page import Block

DOCUMENTS: Final = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md", "findings/*.md")
    for file in ROOT.glob(pattern)
)
FOLLOWED: Final = frozenset(f"docs/{page}" for task in TASKS for page in task.pages)
MADE: Final = {
    "docs/configuration.md": "tests/docs/test_references.py",
    "docs/log-messages.md": "tests/docs/test_references.py",
    "docs/transcripts.md": "tests/transcripts/test_page.py",
}
"""Pages that are made of the code, and the tests that compare them as a whole."""
ASKING: Final = frozenset({"blocks", "documented", "example_in"})
"""The functions by which tests ask for blocks."""
TESTS: Final = sorted((ROOT / "tests").rglob("test_*.py"))


def shown(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@cache
def asked() -> frozenset[tuple[str, ...]]:
    """The texts in each call of these functions."""
    texts = (file.read_text("utf-8") for file in TESTS)
    calls = (
        node
        for text in texts
        if any(f"{name}(" in text for name in ASKING)  # parsing all tests takes a second
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKING
    )
    return frozenset(
        tuple(str(one.value) for one in call.args if isinstance(one, ast.Constant))
        for call in calls
    )


def is_asked_for(name: str, block: Block) -> bool:
    """Whether a test asks for a block, by its document and language or by its first comment."""
    comment = first_comment(block.text)
    return (name, block.language) in asked() or any(one[:1] == (comment,) for one in asked())


def is_followed(name: str, block: Block) -> bool:
    """Whether a newcomer follows it, or the reader of an example."""
    if name.startswith("examples/"):
        return block.language == "console"
    return name in FOLLOWED and block.language not in ASIDE


def is_read_here(name: str, block: Block) -> bool:
    """Whether it is a piece of a configuration that no other test takes."""
    others = is_followed(name, block) or is_asked_for(name, block)
    return block.language in {"toml", "ini"} and not others


def is_taken_care_of(name: str, block: Block) -> bool:
    """Whether a test runs or checks a block of a document, or nothing is to be run."""
    is_code = block.language != "text" and not block.language.startswith("{")
    if name in MADE:
        return True
    checks = (is_followed, is_asked_for, is_read_here)
    return not is_code or any(check(name, block) for check in checks)


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_each_block_of_a_document_is_run_or_checked(document: Path) -> None:
    escaped = [
        f"{shown(document)}:{block.line}: {block.language or 'no language'}: {block.text[:60]!r}"
        for block in blocks_of(document)
        if not is_taken_care_of(shown(document), block)
    ]
    assert escaped == []


def read_here(language: str) -> list[tuple[str, str]]:
    """The place and the text of each block of a language that is read in this file."""
    return [
        (f"{shown(document)}:{block.line}", block.text)
        for document in DOCUMENTS
        for block in blocks_of(document)
        if block.language == language and is_read_here(shown(document), block)
    ]


def test_pages_that_are_made_are_compared_by_tests_that_there_are() -> None:
    assert all((ROOT / name).exists() for pair in MADE.items() for name in pair)


@pytest.mark.parametrize(("place", "text"), read_here("toml"))
def test_a_piece_of_a_configuration_is_accepted(place: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "wiredaemon.toml"
    file.write_text(text, "utf-8")
    assert load_config(file).file == file, place


@pytest.mark.parametrize(("place", "text"), read_here("ini"))
def test_a_piece_of_an_hgrc_has_keys_that_something_reads(place: str, text: str) -> None:
    hgrc = configparser.ConfigParser(interpolation=None)
    hgrc.read_string(text)
    sources = "".join(file.read_text("utf-8") for file in (ROOT / "wiredaemon").rglob("*.py"))
    unread = [key for section in hgrc.sections() for key in hgrc[section] if key not in sources]
    assert unread == [], place


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        ("```python\nx = 1\n```", False),
        ("    ls\n", False),
        ("```\nls\n```", False),
        ("```console\n$ ls\n```", False),
        ("```text\na picture\n```", True),
        ("```toml\n[data]\n```", True),
        ("```nginx\n# nginx: a server that ends TLS\n```", True),
        ("```nginx\n# nginx: a server that nobody runs\n```", False),
    ],
)
def test_a_block_that_escapes_would_be_found(block: str, tmp_path: Path, *, outcome: bool) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"Text.\n\n{block}\n")
    (found,) = blocks_of(document)
    assert is_taken_care_of("docs/page.md", found) is outcome


def test_a_test_that_asks_for_blocks_takes_those_of_one_document_alone(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```python\nx = 1\n```\n")
    (found,) = blocks_of(document)
    assert is_taken_care_of("docs/sansio.md", found)
    assert not is_taken_care_of("docs/users.md", found)
    assert is_taken_care_of("docs/quickstart.md", found)
