"""Reads the steps of a page: files to write, and lines to type into a shell.

A block whose first line is a comment with a path, ``# greetings.py``, is the content of that file;
``# greetings.py, continued`` is appended to the file. A block of the language ``console`` has
lines after ``$``, perhaps continued after ``>``, and below each of them what it prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASIDE: Final = frozenset({"text", "sh"})
"""The languages of blocks that its reader only looks at: pictures, and lines for other machines."""

_FILE: Final = re.compile(r"# ([\w./-]+)(, continued)?\n")
_COMMAND: Final = re.compile(r"^\$ (.*\n(?:> .*\n|>\n)*)((?:(?!\$ ).*\n)*)", re.MULTILINE)
_KEEPS_RUNNING: Final = re.compile(r" +# leave it running\n$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of a document, fenced or indented."""

    line: int
    """The number of its first line of text, from 1."""

    language: str
    """The first word after the fence; empty for none, and for indented blocks."""

    text: str


@dataclass(frozen=True, kw_only=True)
class FileStep:
    """A file to write."""

    line: int
    path: str
    text: str
    is_continued: bool


@dataclass(frozen=True, kw_only=True)
class CommandStep:
    """A line to type, and what it prints."""

    line: int
    command: str
    expected: str
    keeps_running: bool
    """The page says that it is left running, in a terminal of its own."""


Step: TypeAlias = FileStep | CommandStep


class PageError(Exception):
    """A page has a block of which nobody could say what to do with it."""


def blocks_of(document: Path) -> list[Block]:
    """Every block of a document, those in lists and quotations too."""
    return [
        Block(
            line=token.map[0] + 1 + (token.type == "fence"),
            language=(token.info.split() or [""])[0],
            text=token.content,
        )
        for token in MarkdownIt().parse(document.read_text("utf-8"))
        if token.type in {"fence", "code_block"} and token.map is not None
    ]


def files_of(program: Path) -> list[Step]:
    """Every file of a program that somebody has copied, without what has run in its folder."""
    return [
        FileStep(
            line=1,
            path=file.relative_to(program).as_posix(),
            text=file.read_text("utf-8"),
            is_continued=False,
        )
        for file in sorted(program.rglob("*"))
        if file.is_file() and file.parent.name != "__pycache__"
    ]


def steps_of(document: Path) -> list[Step]:
    """Return the steps of a page, in its order.

    Raises:
        PageError: A block is neither a file, nor a session, nor an illustration.
    """
    return [
        step
        for block in blocks_of(document)
        if block.language not in ASIDE
        for step in _steps_of(block, document.name)
    ]


def _steps_of(block: Block, page: str) -> Iterator[Step]:
    if block.language == "console":
        commands = list(_COMMAND.finditer(block.text))
        if "".join(found[0] for found in commands) != block.text:
            raise PageError(f"{page}:{block.line}: a session begins with a line after `$ `")
        for found in commands:
            yield _command(found, block.line + block.text.count("\n", 0, found.start()))
        return
    found_file = _FILE.match(block.text)
    if not block.language or found_file is None:
        raise PageError(f"{page}:{block.line}: this block says neither its file nor what prints it")
    yield FileStep(
        line=block.line,
        path=found_file[1],
        text=block.text[found_file.end() :] if found_file[2] else block.text,
        is_continued=found_file[2] is not None,
    )


def _command(found: re.Match[str], line: int) -> CommandStep:
    typed = re.sub(r"^>(?: |$)", "", found[1], flags=re.MULTILINE)
    command = _KEEPS_RUNNING.sub("\n", typed)
    return CommandStep(
        line=line,
        command=command,
        expected=found[2].strip("\n"),
        keeps_running=command != typed,
    )
