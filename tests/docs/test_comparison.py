"""The table beside other tools says of ours, and of Mercurial's, what their command lines have."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT

from wiredaemon.daemon.cli import _parser
from wiredaemon.daemon.completion_subcommand import parsers_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.hg import Hg

TEXT: Final = (ROOT / "docs" / "comparison.md").read_text("utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.partition("## How")[0].splitlines()
    if line.startswith("|") and not line.startswith(("| |", "|---"))
]


def words_of(column: int) -> set[str]:
    """What stands in a column between backticks."""
    return {word for row in ROWS for word in re.findall(r"`([^`]+)`", row[column])}


def test_each_row_has_a_cell_for_each_tool() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if len(row) != 6 or not all(row)] == []


def test_the_programs_of_twisted_are_those_that_it_has() -> None:
    named = re.findall(r"`(\w+)`", TEXT.partition("Twisted's programs (")[2].partition(")")[0])
    scripts = distribution("twisted").entry_points.select(group="console_scripts")
    assert sorted(named) == sorted(scripts.names)


def test_ours_has_what_the_table_says() -> None:
    parsers = list(parsers_of(_parser()))
    known = {parser.prog.rpartition(" ")[2] for parser in parsers}
    options = {option for parser in parsers for option in parser._option_string_actions}
    named = [word for text in words_of(1) for word in text.split()]
    others = {"key=value", "key=@file", "key:=@file", "URL", "COMMAND", "FILE", "NO_COLOR"}
    values = {"json", "raw"}
    assert [word for word in named if word not in known | options | others | values] == []


@pytest.mark.hg
def test_that_of_mercurial_has_what_the_table_says(hg6: Hg, tmp_path: Path) -> None:
    text = hg6.text("help", "--verbose", "debugwireproto", folder=tmp_path)
    for word in ("PUSHFILE", "BODYFILE", "eval:", "httprequest"):
        assert word in words_of(4)
        assert word in text
    refused = hg6.refusal("debugwireproto", "https://127.0.0.1:1/", folder=tmp_path)
    assert refused.decode().strip().removeprefix("abort: ") in TEXT
