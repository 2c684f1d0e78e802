"""The man page: ``python -m tools.man_page > docs/wiredaemon.1``.

It is made of the parser of the command line, so that it says what ``--help`` says;
``tests/docs/test_man_page.py`` compares the two. The wheel installs it.
"""

from __future__ import annotations

import os
from typing import Final
from unittest import mock

from argparse_manpage.manpage import Manpage

from wiredaemon import __version__
from wiredaemon.daemon.cli import _parser
from wiredaemon.daemon.completion_subcommand import parsers_of

_DATE: Final = "November 30, 2026"
"""The day of the version; that of the making would make another page each day."""
_WIDTH: Final = "80"
"""Columns, whatever the terminal has: argparse breaks lines by it."""


def page() -> str:
    """Return the page in man(7)."""
    parser = _parser()
    first, *below = parsers_of(parser)
    for each in below:
        # argparse-manpage leaves it out, and it has what does not fit elsewhere: exit statuses.
        each.description = "\n\n".join(filter(None, (each.description, each.epilog)))
    with mock.patch.dict(os.environ, COLUMNS=_WIDTH):
        made = Manpage(first)
        made.description = "serves commands over Mercurial's frame-based wire protocol"
        made.date = _DATE
        made.source = f"wiredaemon {__version__}"
        made.manual = "User Commands"
        return str(made)


if __name__ == "__main__":
    print(page(), end="")
