"""The man page is the one of the command line, and programs that show such pages accept it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tools.man_page import page
from wiredaemon.daemon.cli import _parser
from wiredaemon.daemon.completion_subcommand import parsers_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "wiredaemon.1"


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="argparse shows options in another way from 3.13 on"
)
def test_the_page_is_that_of_the_parser() -> None:
    assert PAGE.read_text("utf-8") == page(), "make man"


def test_every_subcommand_and_option_is_there() -> None:
    text = re.sub(r"\\(f.|,|/)", "", PAGE.read_text("utf-8")).replace("\\-", "-")
    for parser in parsers_of(_parser()):
        assert parser.prog in text
        for action in parser._actions:
            # What every command has is in the synopsis only.
            for option in {*action.option_strings} - {"--help"}:
                assert option in text


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="there is no mandoc")
def test_mandoc_has_nothing_against_it() -> None:
    finished = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", PAGE], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_shows_it(tmp_path: Path) -> None:
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}
    finished = subprocess.run(
        ["man", "--warnings", "-l", PAGE],
        env={**variables, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stderr == ""
    assert "wiredaemon - serves commands over Mercurial's frame-based" in finished.stdout
    assert "COMMAND 'wiredaemon doctor'" in finished.stdout
