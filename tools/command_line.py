"""The help texts of the command line, as a document: ``make reference``.

``tests/docs/test_references.py`` compares the document with the parser.
"""

from __future__ import annotations

import os
from typing import Final
from unittest import mock

from wiredaemon.daemon.cli import _parser
from wiredaemon.daemon.completion_subcommand import parsers_of

_WIDTH: Final = "88"
"""Columns, whatever the terminal has: argparse breaks lines by it."""
_HEAD: Final = """# Command line

What `wiredaemon --help` and `--help` of each subcommand print. [Tools](tools.md) explains those
that call servers, [Operation](operation.md) those of the daemon, [Users and rights](users.md) those
of accounts; `man wiredaemon` shows the same on one page.

This page is made by `make reference` of the parser itself.
"""


def document() -> str:
    """Return the whole document."""
    with mock.patch.dict(os.environ, COLUMNS=_WIDTH):
        parts = [
            f"\n## {parser.prog}\n\n```text\n{parser.format_help()}```\n"
            for parser in parsers_of(_parser())
        ]
    return _HEAD + "".join(parts)


if __name__ == "__main__":
    print(document(), end="")
