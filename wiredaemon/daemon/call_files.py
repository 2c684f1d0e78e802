"""Files that arguments are read from, and standard input, which is there once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

STANDARD_INPUT: Final = "-"
# Servers take a mebibyte of arguments by default; more than this belongs into command data.
LARGEST_FILE: Final = 16 * 1024 * 1024
"""The most bytes of a file of arguments."""


class ArgumentError(Exception):
    """The command line says something that cannot be; the text names it."""


def read_file(name: str) -> bytes:
    """Return what is in a file, or in standard input.

    Raises:
        ArgumentError: It is too large.
        OSError: It cannot be read.
    """
    if name == STANDARD_INPUT:
        content = sys.stdin.buffer.read(LARGEST_FILE + 1)
    else:
        with Path(name).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ArgumentError(f"{name} has more than {LARGEST_FILE} bytes: send it with --data")
    return content


def check_standard_input(options: argparse.Namespace) -> None:
    """Refuse options of which several read standard input.

    Raises:
        ArgumentError: There are such.
    """
    given = vars(options)
    names = [given.get(key) for key in ("token_file", "password_file", "data", "json")]
    words = [os.fsencode(word) for word in given.get("arguments", ())]
    files = [word.partition(b"=")[2] for word in words]
    if names.count(STANDARD_INPUT) + files.count(b"@-") > 1:
        raise ArgumentError("standard input can be read once only")
