"""Charts of a run of ``make bench``, as SVG for light and for dark pages: ``make charts``.

Owns what is drawn and how. ``tools.charts_page`` makes the page around them.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes

_MICRO: Final = 1e6
_KIB: Final = 1024
_OURS: Final = "wiredaemon"
_WIDTH: Final = 7.4
"""Inches, of 72 units each: the width of a page's text."""
_BAR: Final = 0.34
"""Inches of height for each bar."""
_FRAME: Final = 0.75
"""Inches of height for the axis and what it says."""
_THICKNESS: Final = 0.62
"""The share of that height which is coloured."""
_GAP: Final = 0.015
"""The room between a bar and its number, in the length of the longest bar."""
_ROOM: Final = 1.22
"""The length of the axis, in that of the longest bar: numbers stand after the bars."""

# Text stays text, the names of parts do not change from run to run, and no font is asked for.
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wiredaemon",
    "font.family": "sans-serif",
    "font.size": 9.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """The scale and the words with which the values of a metric are shown."""

    axis: str
    """The text at the axis; `{unit}` is the figure's."""
    shown: Callable[[float], float]


_MEASURES: Final[Mapping[str, _Measure]] = {
    "capacity": _Measure(
        axis="microseconds of the server's processor time for a {unit}; shorter is better",
        shown=lambda value: _MICRO / value,
    ),
    "rate": _Measure(axis="{unit}s a second; longer is better", shown=lambda value: value),
    "p50": _Measure(
        axis="microseconds until the answer is there, median; shorter is better",
        shown=lambda value: value * _MICRO,
    ),
    "memory": _Measure(
        axis="KiB of memory for a connection; shorter is better", shown=lambda value: value / _KIB
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The colours of a page; the background is the page's own."""

    text: str
    ours: str
    peer: str
    spread: str


SCHEMES: Final[Mapping[str, Scheme]] = {
    "light": Scheme(text="#1f2937", ours="#2563eb", peer="#9ca3af", spread="#111827"),
    "dark": Scheme(text="#d1d5db", ours="#3b82f6", peer="#6b7280", spread="#f3f4f6"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One candidate: the median of its rounds, the least and the greatest."""

    name: str
    median: float
    least: float
    most: float

    @property
    def number(self) -> str:
        """The median with three digits, as people read it."""
        return f"{self.median:,.0f}" if self.median >= 100 else f"{self.median:.3g}"  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure of a run."""

    name: str
    title: str
    axis: str
    bars: tuple[Bar, ...]

    @property
    def digest(self) -> str:
        """A name of all that is drawn, by which a test finds a drawing that is older."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


def charts(report: Mapping[str, Any]) -> Iterator[Chart]:
    """Yield the charts of a report, as ``python -m benchmarks --json FILE`` writes it."""
    for figure in report["figures"]:
        measure = _MEASURES[figure["metric"]]
        yield Chart(
            name=figure["name"],
            title=figure["title"],
            axis=measure.axis.format(unit=figure["unit"]),
            bars=tuple(
                _bar(name, [measure.shown(value) for value in values[figure["metric"]]["rounds"]])
                for name, values in figure["candidates"].items()
            ),
        )


def _bar(name: str, values: list[float]) -> Bar:
    return Bar(name=name, median=statistics.median(values), least=min(values), most=max(values))


def drawing(chart: Chart, scheme: Scheme) -> bytes:
    """Return a chart as SVG, which is the same each time it is drawn."""
    written = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        height = _FRAME + _BAR * len(chart.bars)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        _draw_bars(axes, chart, scheme)
        _draw_numbers(axes, chart, scheme)
        axes.set_yticks(range(len(chart.bars)), [bar.name for bar in chart.bars])
        axes.invert_yaxis()
        axes.set_xlabel(chart.axis, color=scheme.text)
        axes.tick_params(colors=scheme.text, length=0)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.spines["left"].set_color(scheme.text)
        figure.savefig(
            written,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Description": chart.digest},
        )
    return written.getvalue()


def _draw_bars(axes: Axes, chart: Chart, scheme: Scheme) -> None:
    below = [bar.median - bar.least for bar in chart.bars]
    above = [bar.most - bar.median for bar in chart.bars]
    axes.barh(
        range(len(chart.bars)),
        [bar.median for bar in chart.bars],
        height=_THICKNESS,
        color=[scheme.ours if bar.name.startswith(_OURS) else scheme.peer for bar in chart.bars],
        xerr=[below, above],
        error_kw={"ecolor": scheme.spread, "elinewidth": 0.9, "capsize": 2.5},
    )


def _draw_numbers(axes: Axes, chart: Chart, scheme: Scheme) -> None:
    longest = max(bar.most for bar in chart.bars)
    axes.set_xlim(0, longest * _ROOM)
    for place, bar in enumerate(chart.bars):
        behind = bar.most + longest * _GAP
        axes.text(behind, place, bar.number, va="center", color=scheme.text)
