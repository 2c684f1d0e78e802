"""The README of each example is followed word by word, in a copy of its folder elsewhere.

A page of the same name in ``further/`` goes on where the ten lines of the README end.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import Final

import pytest
from support.environment import ROOT, environment

from tools.newcomer.follow import follow
from tools.newcomer.page import steps_of

EXAMPLES: Final = ROOT / "examples"
FURTHER: Final = Path(__file__).with_name("further")
NAMES: Final = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


@pytest.mark.hg
@pytest.mark.parametrize("name", NAMES)
def test_all_lines_print_what_stands_below_them(name: str, tmp_path: Path) -> None:
    program, variables = EXAMPLES / name, environment()
    path = f"{sysconfig.get_path('scripts')}:{variables['PATH']}"
    pages = [program / "README.md", *FURTHER.glob(f"{name}.md")]
    outcome = follow(pages, tmp_path / name, {**variables, "PATH": path}, program=program)
    assert outcome.failure == ""
    assert outcome.lines == sum(len(steps_of(page)) for page in pages)


def test_each_readme_has_ten_lines_and_each_further_page_an_example() -> None:
    assert {
        name: len((EXAMPLES / name / "README.md").read_text("utf-8").splitlines()) for name in NAMES
    } == dict.fromkeys(NAMES, 10)
    assert {page.stem for page in FURTHER.iterdir()} <= set(NAMES)


def test_the_table_has_each_example() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[\w+/\]\((\w+)/README\.md\) \|", text, re.MULTILINE)) == NAMES
