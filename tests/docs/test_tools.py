"""What of docs/tools.md no newcomer types: its table, and lines for other machines.

All other lines are run by `tests/tools/test_newcomer.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tools.newcomer.page import blocks_of
from wiredaemon.daemon.cli import _parse
from wiredaemon.daemon.client_status import MEANINGS

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "tools.md"
LINES: Final = [
    line
    for block in blocks_of(DOCUMENT)
    if block.language == "sh"
    for line in block.text.splitlines()
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_for_other_machines_is_accepted(line: str) -> None:
    program, *words = line.partition("#")[0].split()
    assert program == "wiredaemon"
    assert _parse(words).command == "heads"


def test_the_table_has_every_status() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == dict(MEANINGS)
