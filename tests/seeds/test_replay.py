"""The seeds' scripts as they stand, through the tool: all that it prints is all that they show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from seeds.replay import DIALECTS, replay, summary
from seeds.transcript import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = {
    "0002": "seed 0002: 18 scripts, 315 lines compared, 3 of them with a wildcard and 36 with a "
    "stand-in, 0 scripts differ",
    "0003": "seed 0003: 19 scripts, 338 lines compared, 3 of them with a wildcard and 38 with a "
    "stand-in, 0 scripts differ",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_tool_prints_the_whole_seed(dialect: str, tmp_path: Path) -> None:
    compared = replay(dialect, tmp_path)

    assert [line for one in compared for line in one.differences()] == []
    assert summary(dialect, compared) == NUMBERS[dialect]
    # Nothing that a run shows was left out: what else is indented are commands, and what they are
    # given.
    text = (FOLDER / f"{dialect}.txt").read_text("ascii")
    shown = [
        line for line in text.split("\n") if line.startswith("  ") and line[2:4] not in {"$ ", "> "}
    ]
    assert [f"  {line}" for one in compared for line in one.exchange.shown] == shown
    # One line more or less, and another one, would show.
    first = compared[0]
    assert replace(first, printed=first.printed[:-1]).differences()
    assert replace(first, printed=(*first.printed, "")).differences()
    assert replace(first, printed=(*first.printed[:-1], "x")).differences()
