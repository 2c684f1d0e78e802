"""What of docs/json.md no newcomer types; all lines are run by `tests/tools/test_newcomer.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from wiredaemon.net.json.forms import OFFERED

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def test_the_table_has_every_form() -> None:
    rows = re.findall(r"^\| `([a-z]+/[a-z-]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert rows == [media_type.decode() for media_type in OFFERED]
