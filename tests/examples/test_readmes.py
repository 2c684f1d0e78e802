"""The README of each example is followed word by word, in a copy of its folder elsewhere."""

from __future__ import annotations

import re
import sysconfig
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT, environment

from tools.newcomer.follow import follow
from tools.newcomer.page import steps_of

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES: Final = ROOT / "examples"
NAMES: Final = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


@pytest.mark.hg
@pytest.mark.parametrize("name", NAMES)
def test_all_lines_print_what_stands_below_them(name: str, tmp_path: Path) -> None:
    program, variables = EXAMPLES / name, environment()
    path = f"{sysconfig.get_path('scripts')}:{variables['PATH']}"
    outcome = follow(
        [program / "README.md"], tmp_path / name, {**variables, "PATH": path}, program=program
    )
    assert outcome.failure == ""
    assert outcome.lines == len(steps_of(program / "README.md"))


def test_the_table_has_each_example() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[\w+/\]\((\w+)/README\.md\) \|", text, re.MULTILINE)) == NAMES
