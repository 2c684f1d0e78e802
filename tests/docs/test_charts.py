"""The charts in the documents are those of the run that is kept: ``make charts`` draws them."""

from __future__ import annotations

import re

import pytest

from tools.charts import SCHEMES, charts
from tools.charts_page import PAGE, PICTURES, load, page


def test_the_page_is_that_of_the_kept_run() -> None:
    assert PAGE.read_text("utf-8") == page(load()), "make charts"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_drawing_is_of_the_numbers_of_that_run(scheme: str) -> None:
    # Another release of matplotlib draws the same with other bytes: the drawing names its numbers.
    drawn = {chart.name: chart.digest for chart in charts(load())}
    found = {
        file.stem.removesuffix(f"-{scheme}"): re.findall(r"[0-9a-f]{64}", file.read_text("utf-8"))
        for file in PICTURES.glob(f"*-{scheme}.svg")
    }
    assert found == {name: [digest] for name, digest in drawn.items()}


def test_the_pictures_are_small_and_there_is_no_other() -> None:
    names = {f"{chart.name}-{scheme}.svg" for chart in charts(load()) for scheme in SCHEMES}
    assert {file.name for file in PICTURES.iterdir()} == names
    assert max(file.stat().st_size for file in PICTURES.iterdir()) < 50_000
