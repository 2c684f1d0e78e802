"""Text files of accounts: their lines, and the error that names one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_FILE: Final = 1024 * 1024
"""Bytes of a file of accounts, some 14,000 users: the reactor reads it, in 50 ms at the most."""


class AccountsFileError(Exception):
    """A file of accounts cannot be used; nothing was changed.

    Args:
        file: The file.
        problem: The mistake, in words that follow the file's name.
        line: The line's number, from 1; 0 where the file as a whole is meant.
    """

    def __init__(self, file: Path, problem: str, line: int = 0) -> None:
        super().__init__(f"{file}{f' line {line}' if line else ''}: {problem}")
        self.file = file
        self.problem = problem
        self.line = line


class UnreadableFileError(AccountsFileError):
    """The system does not let us read a file, for now; what it holds is not known."""


class Line(NamedTuple):
    """A line that says something: neither empty nor a comment."""

    number: int
    text: str


def read_text(file: Path) -> str:
    """Return what a file holds.

    Raises:
        AccountsFileError: It cannot be read, is too large, or is not UTF-8.
    """
    try:
        with file.open("rb") as opened:
            # One byte more tells too large from just large enough, whatever stat would say.
            content = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UnreadableFileError(file, f"cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise AccountsFileError(file, f"is larger than {LARGEST_FILE} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AccountsFileError(file, "is not UTF-8", line) from None


def lines_of(text: str) -> Iterator[Line]:
    """Return the lines that say something, without white space around them."""
    for number, line in enumerate(text.split("\n"), start=1):
        text_of_line = line.strip()
        if text_of_line and not text_of_line.startswith("#"):
            yield Line(number, text_of_line)
