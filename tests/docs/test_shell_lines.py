"""Shell lines that are for another machine, or take minutes: all that they name is there.

Each target of make is expanded by make itself, each program of ours has the options and knows the
subcommand, each file exists. Lines that can be run here are run, by other tests.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

import pytest
from packaging.requirements import Requirement
from support.documents import blocks
from support.environment import ROOT, environment
from support.printing import printed_by

from wiredaemon.daemon.cli import _parse

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES: Final = [
    line
    for text in (
        *blocks("CONTRIBUTING.md", "sh"),
        *blocks("README.md", "sh"),
        *blocks("benchmarks/README.md", "sh"),
        *blocks("docs/index.md", "sh"),
        *blocks("docs/tools.md", "sh"),
        *blocks("docs/users.md", "sh"),
        *blocks("findings/README.md", "sh"),
    )
    for line in text.replace("\\\n", " ").replace("|\n", "| ").splitlines()
]
PLACES: Final = {"FILE": "/etc/wiredaemon.toml", "URL": "http://127.0.0.1/", "SHELL": "bash"}
"""The words that a reader replaces."""
OTHERS: Final = frozenset({"printf", "curl", "od"})
"""Programs of every machine."""


def run(*command: str) -> str:
    """What a program prints; it must succeed."""
    return printed_by(command, ROOT, environment())


@cache
def help_of(*program: str) -> str:
    return run(*program, "--help")


def check_options(program: Sequence[str], words: Sequence[str]) -> None:
    """Check that the help of a program has each option, and that files exist."""
    for word in words:
        if word.startswith("-"):
            option = word.partition("=")[0]
            assert re.search(rf"(?<![\w-]){re.escape(option)}\b", help_of(*program)), word
        elif "/" in word and not word.startswith(".."):  # what is beside the checkout
            assert (ROOT / word).exists(), word


def check_module(name: str, words: Sequence[str]) -> None:
    """Check ``python -m NAME``: it is there, and has the options."""
    assert any((ROOT / name.replace(".", "/")).with_suffix(end).exists() for end in (".py", ""))
    if any(word.startswith("-") for word in words):
        check_options((sys.executable, "-m", name), words)


def check_make(words: Sequence[str]) -> None:
    """Have make say what it would do, and check the last line of that if it is a module of ours."""
    last = run("make", "--no-print-directory", "--dry-run", *words).splitlines()[-1]
    found = re.match(r"(?:\w+=\S+ )?\.venv/bin/python -m ((?:benchmarks|tools)\S*)(.*)$", last)
    if found:
        check_module(found[1], shlex.split(found[2]))


def check(words: list[str]) -> None:
    """Check one command of a line."""
    program, *rest = words
    match program.removeprefix(".venv/bin/"), rest:
        case "make", _:
            check_make(rest)
        case "wiredaemon", _:
            assert _parse([PLACES.get(word, word) for word in rest]).run
        case "twistd", ["wiredaemon", *options]:
            options = [word for word in options if word.startswith("-")]
            check_options((sys.executable, "-m", "twisted", "wiredaemon"), options)
        case "python", ["-m", module, *options]:
            check_module(module, options)
        case "pytest", _:
            check_options((sys.executable, "-m", "pytest"), rest)
        case "pip", ["install", requirement]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
            asked = Requirement(requirement)
            assert asked.name == project["name"]
            assert asked.extras <= set(project["optional-dependencies"])
        case "hg", ["clone", *_]:
            pass
        case "bash", [script]:
            assert (ROOT / script).exists()
        case other, _:
            assert other in OTHERS


@pytest.mark.parametrize("line", [line for line in LINES if line.partition("#")[0].strip()])
def test_all_that_a_line_names_is_there(line: str) -> None:
    words = shlex.split(line, comments=True)
    for is_between, command in groupby(words, lambda word: word in {"|", "&&"}):
        if not is_between:
            check(list(command))


@pytest.mark.parametrize(
    "line",
    [
        "make nosuch",
        "make stress STRESS=--nosuch",
        "wiredaemon nosuch",
        "wiredaemon user add --nosuch ann",
        "twistd wiredaemon --nosuch FILE",
        "python -m benchmarks.nosuch",
        "python -m benchmarks.stress --nosuch",
        "pytest tests/nosuch",
        "pip install 'wiredaemon[nosuch]'",
        "bash findings/nosuch.sh",
        "nosuch",
    ],
)
def test_a_line_that_names_what_is_not_there_would_be_found(line: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check(shlex.split(line))
