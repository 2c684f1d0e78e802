"""The document of settings names each key that the installed Mercurial has, and no other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from support.environment import environment

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "hgrc.md"

SECTIONS: Final = ("web", "server", "phases", "experimental")

_PROGRAM: Final = """
from mercurial import initialization
initialization.init()
from mercurial import configitems
import json
print(json.dumps({
    section.decode(): [name.decode() for name in items]
    for section, items in configitems.coreitems.items()
}))
"""


def documented(section: str) -> Counter[str]:
    """Return the keys that a section of the document names, in its tables and lists."""
    text = DOCUMENT.read_text("utf-8").partition(f"\n## `[{section}]`\n")[2].partition("\n## ")[0]
    named: list[str] = []
    for line in text.split("\nThree keys of ")[0].splitlines():
        cell = line.split(" | ")[0] if line.startswith("|") else line
        named += re.findall(r"`([^`\[\]]+)`", cell)
    return Counter(named)


@pytest.fixture(scope="module")
def known() -> dict[str, list[str]]:
    """The keys of the installed library, by section."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment(), check=True, capture_output=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_each_key_of_the_library_is_named_once_and_no_other(
    known: dict[str, list[str]], section: str
) -> None:
    assert documented(section) == Counter(known[section])
