"""The report: a table for people, and everything as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figure import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figure import Figure, Goal, Result

_KIB: Final = 1024
_MICRO: Final = 1e6
_PACKAGES: Final = ("wiredaemon", "twisted", "cbor2", "pyopenssl", "grpcio", "aiohttp")
_NAME_WIDTH: Final = 34
_COLUMN_WIDTH: Final = 30


def table(result: Result) -> str:
    """Return a figure as a table: a line for each candidate, then a line for each goal."""
    figure = result.figure
    shown = _columns(figure)
    lines = [figure.title, ""]
    lines.append(_line("", [heading for heading, _ in shown]))
    for candidate in figure.candidates:
        if candidate.name in result.values:
            values = result.values[candidate.name]
            cells = [spread(_scaled(metric, values[metric])) for _, metric in shown]
            lines.append(_line(candidate.name, cells))
        else:
            lines.append(f"  {candidate.name}: {result.unavailable[candidate.name]}")
    if figure.goals:
        lines += ["", *map("  ".join, _goal_lines(result))]
    return "\n".join([*lines, ""])


def as_json(results: Sequence[Result], *, rounds: int, seconds: float) -> dict[str, Any]:
    """Return all values as JSON: times in seconds, memory in bytes, in the order of rounds."""
    return {
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            # Tells a reader whether other programs were running.
            "load": os.getloadavg(),
        },
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "rounds": rounds,
        "seconds": seconds,
        "figures": [_figure_json(result) for result in results],
    }


def spread(values: Sequence[float]) -> str:
    """Return the median and, in brackets, the least and the greatest value."""
    if len(values) == 1:
        return _short(values[0])
    least, most = min(values), max(values)
    return f"{_short(statistics.median(values))} [{_short(least)}..{_short(most)}]"


def goal_text(goal: Goal) -> str:
    """Return a goal in words."""
    text = f"{_names(goal.candidate)}: {goal.metric.value} {goal.bound.value}"
    if goal.peer is None:
        value = goal.value / _KIB if goal.metric is Metric.MEMORY else goal.value
        return f"{text} {value:g} KiB"
    return f"{text} {goal.value:g} x {_names(goal.peer)}"


def _names(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else " or ".join(names)


def _columns(figure: Figure) -> list[tuple[str, Metric]]:
    if figure.connections:
        return [("KiB each", Metric.MEMORY)]
    return [
        (f"server us/{figure.unit}", Metric.CAPACITY),
        (f"{figure.unit}s/s", Metric.RATE),
        ("p50 us of an exchange", Metric.P50),
    ]


def _scaled(metric: Metric, values: Sequence[float]) -> list[float]:
    """Return values in the units of the table: microseconds a unit in place of capacity."""
    match metric:
        case Metric.CAPACITY:
            return [_MICRO / value for value in values]
        case Metric.P50:
            return [value * _MICRO for value in values]
        case Metric.MEMORY:
            return [value / _KIB for value in values]
        case Metric.RATE:
            return list(values)


def _goal_lines(result: Result) -> Iterator[tuple[str, ...]]:
    for goal in result.figure.goals:
        ratios = result.ratios(goal)
        text = f"  goal  {goal_text(goal)}"
        if not ratios:
            yield text, "not measured"
            continue
        shown = _scaled(goal.metric, ratios) if goal.peer is None else ratios
        yes = goal.reached(statistics.median(ratios))
        yield f"{text}:", spread(shown), f"  {'met' if yes else 'MISSED'}"


def _figure_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.figure.name,
        "title": result.figure.title,
        "unit": result.figure.unit,
        "metric": result.figure.metric.value,
        "candidates": {
            name: {
                metric.value: {
                    "median": statistics.median(rounds),
                    "least": min(rounds),
                    "most": max(rounds),
                    "rounds": rounds,
                }
                for metric, rounds in values.items()
            }
            for name, values in result.values.items()
        },
        "unavailable": result.unavailable,
        "goals": [_goal_json(result, goal) for goal in result.figure.goals],
    }


def _goal_json(result: Result, goal: Goal) -> dict[str, Any]:
    ratios = result.ratios(goal)
    median = statistics.median(ratios) if ratios else None
    return {
        "goal": goal_text(goal),
        "value": goal.value,
        "measured": median,
        "rounds": ratios,
        "reached": None if median is None else goal.reached(median),
    }


def _line(name: str, cells: Sequence[str]) -> str:
    return f"  {name:<{_NAME_WIDTH}}" + "".join(f"{cell:>{_COLUMN_WIDTH}}" for cell in cells)


def _short(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
