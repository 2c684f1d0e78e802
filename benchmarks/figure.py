"""Figures: candidates that are measured in turn, and the goals that their ratios must reach."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.load import Load
    from benchmarks.processes import Program


class Metric(Enum):
    """A quantity that is compared, under the name that the report uses."""

    CAPACITY = "capacity"
    """Units for each second of the server's processor time: steady when others use the cores."""
    RATE = "rate"
    """Units for each second of the clock."""
    P50 = "p50"
    """Seconds of the clock from sending to the last byte of the answer, the median of a round."""
    MEMORY = "memory"
    """Bytes of private memory for each open connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A server and the load that is put on it."""

    name: str
    program: Program
    connect: Callable[[int], Load]
    """Opens a load to a port."""


class Bound(Enum):
    """The side from which a goal must be reached."""

    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on one candidate's figure: absolute, or in ratio to a peer's of the same round.

    Where several are named, the one counts whose median is the best.
    """

    candidate: str | tuple[str, ...]
    metric: Metric
    bound: Bound = Bound.AT_LEAST
    value: float
    peer: str | tuple[str, ...] | None = None

    def reached(self, value: float) -> bool:
        """Return whether this median reaches the goal."""
        return value >= self.value if self.bound is Bound.AT_LEAST else value <= self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Candidates that are measured together."""

    name: str
    """The name on the command line."""
    title: str
    unit: str = "call"
    """The unit in which an exchange is counted."""
    candidates: Sequence[Candidate]
    goals: Sequence[Goal] = ()
    connections: int = 0
    """Open connections whose memory is measured; 0 measures time."""

    @property
    def metric(self) -> Metric:
        """The metric that the candidates are compared by: that of the first goal."""
        if self.goals:
            return self.goals[0].metric
        return Metric.MEMORY if self.connections else Metric.CAPACITY


def beside(figure: Figure, root: Path) -> Figure:
    """Return the figure with each of our candidates twice, once from another checkout.

    A goal is added for each: to be no worse.
    """
    metric, bound = (
        (Metric.MEMORY, Bound.AT_MOST) if figure.connections else (Metric.CAPACITY, Bound.AT_LEAST)
    )
    candidates: list[Candidate] = []
    goals = list(figure.goals)
    for ours in figure.candidates:
        candidates.append(ours)
        if ours.program.root is not None:
            program = replace(ours.program, name=f"{ours.program.name} {root}", root=root)
            other = replace(ours, name=f"{ours.name}, other", program=program)
            candidates.append(other)
            goals.append(
                Goal(candidate=ours.name, metric=metric, bound=bound, value=1, peer=other.name)
            )
    return replace(figure, candidates=candidates, goals=goals)


@dataclass(slots=True)
class Result:
    """The values of one figure."""

    figure: Figure
    values: dict[str, dict[Metric, list[float]]] = field(default_factory=dict)
    """One value for each round, by candidate and metric; without candidates that cannot run."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Candidates that cannot run, with the reason."""

    def add(self, candidate: str, values: Mapping[Metric, float]) -> None:
        """Add the values of one more round."""
        metrics = self.values.setdefault(candidate, {})
        for metric, value in values.items():
            metrics.setdefault(metric, []).append(value)

    def ratios(self, goal: Goal) -> list[float]:
        """Return a goal's value or ratio for each round; empty if a candidate did not run."""
        own = self._best(goal.candidate, goal)
        if goal.peer is None or not own:
            return own
        peer = self._best(goal.peer, goal)
        return [one / other for one, other in zip(own, peer, strict=True)] if peer else []

    def _best(self, names: str | tuple[str, ...], goal: Goal) -> list[float]:
        """Return the values of the best candidate of some; empty if one of them did not run."""
        names = (names,) if isinstance(names, str) else names
        if not all(name in self.values for name in names):
            return []
        best = max if goal.bound is Bound.AT_LEAST else min
        return best((self.values[name][goal.metric] for name in names), key=statistics.median)
