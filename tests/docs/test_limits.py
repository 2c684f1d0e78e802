from __future__ import annotations

import dataclasses
from pathlib import Path

from tools.limits_table import rows, table
from wiredaemon.wire.limits import Limits

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "limits.md"


def test_the_table_of_limits_is_that_of_the_code() -> None:
    assert DOCUMENT.read_text("utf-8") == table()


def test_every_limit_has_a_row_that_says_what_it_bounds() -> None:
    assert [name for name, _, _ in rows()] == [field.name for field in dataclasses.fields(Limits)]
    assert all(text.endswith(".") for _, _, text in rows())
