from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest

from benchmarks.figure import Candidate, Figure, Goal, Metric, Result
from benchmarks.processes import Program
from benchmarks.report import as_json
from tools.charts import SCHEMES, Bar, charts, drawing

SVG: Final = "{http://www.w3.org/2000/svg}"
NAMES: Final = ("wiredaemon it", "a peer")


def figure(name: str, *, goal: Metric | None = None, connections: int = 0) -> Figure:
    def connect(port: int) -> Any:
        raise NotImplementedError(port)

    program = Program(name="none", command=lambda _: ("none",))
    candidates = [Candidate(name=each, program=program, connect=connect) for each in NAMES]
    goals = [Goal(candidate=NAMES[0], metric=goal, value=2, peer=NAMES[1])] if goal else []
    return Figure(
        name=name, title=name, candidates=candidates, goals=goals, connections=connections
    )


def report(one: Figure, metric: Metric, *rounds: tuple[float, float]) -> dict[str, Any]:
    """What a run writes that had these values in its rounds, ours first."""
    result = Result(figure=one)
    for values in rounds:
        for name, value in zip(NAMES, values, strict=True):
            result.add(name, {metric: value})
    return as_json([result], rounds=len(rounds), seconds=0.5)


@pytest.mark.parametrize(
    ("metric", "rounds", "axis", "bar"),
    [
        (
            Metric.CAPACITY,
            [(200_000, 1), (250_000, 1), (500_000, 1)],
            "microseconds of the server's processor time for a call; shorter is better",
            Bar(name=NAMES[0], median=4, least=2, most=5),
        ),
        (
            Metric.RATE,
            [(3000, 1), (1000, 1)],
            "calls a second; longer is better",
            Bar(name=NAMES[0], median=2000, least=1000, most=3000),
        ),
        (
            Metric.P50,
            [(0.000_25, 1), (0.000_5, 1)],
            "microseconds until the answer is there, median; shorter is better",
            Bar(name=NAMES[0], median=375, least=250, most=500),
        ),
    ],
)
def test_a_chart_has_the_metric_of_the_first_goal_in_the_units_of_people(
    metric: Metric, rounds: list[tuple[float, float]], axis: str, bar: Bar
) -> None:
    (chart,) = charts(report(figure("it", goal=metric), metric, *rounds))
    assert (chart.name, chart.axis) == ("it", axis)
    assert chart.bars[0] == bar
    assert [each.name for each in chart.bars] == list(NAMES)


def test_memory_of_connections_is_shown_in_kib() -> None:
    (chart,) = charts(report(figure("idle", connections=9), Metric.MEMORY, (2048, 4096)))
    assert [bar.median for bar in chart.bars] == [2, 4]
    assert "KiB" in chart.axis


@pytest.mark.parametrize(
    ("value", "number"), [(0.5744, "0.574"), (16.76, "16.8"), (137_683.5, "137,684")]
)
def test_numbers_have_three_digits_or_no_fraction(value: float, number: str) -> None:
    assert Bar(name="", median=value, least=value, most=value).number == number


@pytest.mark.parametrize("name", SCHEMES)
def test_a_drawing_is_svg_with_names_and_numbers_as_text_and_its_chart_in_it(name: str) -> None:
    (chart,) = charts(report(figure("it"), Metric.CAPACITY, (250_000, 1_000_000)))
    drawn = drawing(chart, SCHEMES[name])
    nodes = ET.fromstring(drawn).iter(f"{SVG}text")  # noqa: S314 our own drawing
    texts = {node.text for node in nodes}
    assert {*NAMES, "4", "1", chart.axis} <= texts
    assert chart.digest in drawn.decode()
    assert SCHEMES[name].ours in drawn.decode()
    assert SCHEMES[name].peer in drawn.decode()


def test_the_same_chart_is_drawn_the_same_each_time_and_the_schemes_differ() -> None:
    (chart,) = charts(report(figure("it"), Metric.CAPACITY, (250_000, 1_000_000)))
    light, dark = (drawing(chart, scheme) for scheme in SCHEMES.values())
    assert light == drawing(chart, SCHEMES["light"])
    assert light != dark
