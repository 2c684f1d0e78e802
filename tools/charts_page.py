"""The page of charts, with its pictures: ``make charts`` writes them.

They are made of the last run of ``make bench`` that was kept, ``benchmarks/results.json``;
``tests/docs/test_charts.py`` compares them with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools.charts import SCHEMES, Chart, charts, drawing
from tools.site_pictures import picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = _ROOT / "benchmarks" / "results.json"
PAGE: Final = _ROOT / "docs" / "charts.md"
PICTURES: Final = _ROOT / "docs" / "charts"
_KIB: Final = 1024
_HEAD: Final = """# Charts

A run of `make bench`, which measures each figure beside its peers, in turn. Bars are medians; the
thin lines reach from the least of all rounds to the greatest. The machine is shared, so that ratios
are worth more than times. [Performance](performance.md) says how the daemon is fast and what was
missed, [Benchmarks](../benchmarks/README.md) what each name means.

{run}

The page and its charts are made by `make charts` from `benchmarks/results.json`.
"""


def load() -> dict[str, Any]:
    """Return the report of the run."""
    report: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return report


def page(report: Mapping[str, Any]) -> str:
    """Return the whole document."""
    figures = {figure["name"]: figure for figure in report["figures"]}
    sections = (_section(chart, figures[chart.name]) for chart in charts(report))
    return "\n".join([_HEAD.format(run=_run(report)), *sections])


def pictures(report: Mapping[str, Any]) -> Iterator[tuple[str, Chart, bytes]]:
    """Yield the name of each file, its chart and what is in it."""
    for chart in charts(report):
        for name, scheme in SCHEMES.items():
            yield f"{chart.name}-{name}.svg", chart, drawing(chart, scheme)


def _run(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"This run had {report['rounds']} rounds of {report['seconds']:g} s, on {machine['cores']} "
        f"cores ({machine['system']}), with Python {machine['python']}, {versions}. The load of "
        f"the machine was {machine['load'][0]:.1f} at its end."
    )


def _section(chart: Chart, figure: Mapping[str, Any]) -> str:
    described = "; ".join(f"{bar.name} {bar.number}" for bar in chart.bars)
    light, dark = (f"charts/{chart.name}-{scheme}.svg" for scheme in ("light", "dark"))
    parts = [f"## {chart.title}\n", picture(light, dark, f"{chart.axis}: {described}")]
    if figure["goals"]:
        unit = _KIB if figure["metric"] == "memory" else 1
        rows = "".join(_goal(goal, unit) for goal in figure["goals"])
        parts.append(f"| goal | measured | |\n|---|---|---|\n{rows}")
    return "\n".join(parts)


def _goal(goal: Mapping[str, Any], unit: int) -> str:
    if goal["measured"] is None:
        return f"| {goal['goal']} | | not measured |\n"
    reached = "met" if goal["reached"] else "**missed**"
    return f"| {goal['goal']} | {goal['measured'] / unit:.3g} | {reached} |\n"


def main() -> None:
    """Write the page and its pictures, and remove pictures that it has no more."""
    report = load()
    PAGE.write_text(page(report), "utf-8")
    PICTURES.mkdir(exist_ok=True)
    made = {name: content for name, _, content in pictures(report)}
    for file in PICTURES.glob("*.svg"):
        if file.name not in made:
            file.unlink()
    for name, content in made.items():
        (PICTURES / name).write_bytes(content)


if __name__ == "__main__":
    main()
