"""The README of each example is run as it stands there, in a copy of its folder elsewhere."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT
from support.terminals import run_terminals

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES: Final = ROOT / "examples"
NAMES: Final = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def copy_of(name: str, folder: Path) -> Path:
    """Copy an example to where it is alone, without what has run in it."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(EXAMPLES / name, folder / name, ignore=ignored)


@pytest.mark.hg
@pytest.mark.daemon
@pytest.mark.parametrize("name", NAMES)
def test_all_lines_print_what_stands_below_them(name: str, tmp_path: Path) -> None:
    copy = copy_of(name, tmp_path)
    run_terminals(copy / "README.md", copy)


def test_the_table_has_each_example() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[\w+/\]\((\w+)/README\.md\) \|", text, re.MULTILINE)) == NAMES


SERVER: Final = """
```console
$ echo listening at 127.0.0.1:43210; exec sleep 1000
listening at 127.0.0.1:8010
```
"""


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("$ echo 127.0.0.1:8010\n127.0.0.1:8010", None),
        ("$ echo 127.0.0.1:43210\n127.0.0.1:8010", None),
        ("$ echo 127.0.0.1:43211\n127.0.0.1:8010", "no '127.0.0.1:8010'"),
        ("$ echo one two; echo more; exit 3\none ...\n...\n[3]", None),
        ("$ echo one two; echo more\none ...\n...", None),
        ("$ echo one; echo more\none", "more"),
        ("$ echo one\none\nmore", "no 'more'"),
        ("$ echo one; exit 3\none", "[3]"),
        ("$ true\n$ echo two\nthree", "no 'three'"),
    ],
)
def test_a_readme_that_is_wrong_would_be_found(
    lines: str, problem: str | None, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{SERVER}\n```console\n{lines}\n```\n", "utf-8")
    if problem is None:
        run_terminals(readme, tmp_path)
    else:
        with pytest.raises(AssertionError, match=re.escape(problem)):
            run_terminals(readme, tmp_path)
