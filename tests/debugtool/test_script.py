"""The grammar of scripts."""

from __future__ import annotations

import pytest

from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.script import LARGEST_SCRIPT, Block, parse_script


def test_indented_lines_belong_to_the_block_above() -> None:
    text = b"# a comment\ncommand heads  \n\n    a  b \n  c\t\n# more\nclose\n"
    assert parse_script(text) == (
        Block(action=b"command heads", lines=(b"a  b", b"c")),
        Block(action=b"close", lines=()),
    )


def test_an_indented_line_without_a_block_is_refused() -> None:
    with pytest.raises(ToolError, match=r"^indented line outside of block$"):
        parse_script(b"\n  a\n")


def test_a_script_has_a_largest_size() -> None:
    assert parse_script(b"#" * LARGEST_SCRIPT) == ()
    with pytest.raises(ToolError, match="more than"):
        parse_script(b"#" * (LARGEST_SCRIPT + 1))
