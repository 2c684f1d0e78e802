"""The table of docs/tools.md; its lines are run by `tests/tools/test_newcomer.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from wiredaemon.daemon.client_status import MEANINGS

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "tools.md"


def test_the_table_has_every_status() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == dict(MEANINGS)
