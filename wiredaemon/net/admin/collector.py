"""Reads the metrics for the library that writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wiredaemon.net.admin.metrics import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.net.admin.figures import Figures
    from wiredaemon.net.admin.metrics import Metric

    Family = CounterMetricFamily | GaugeMetricFamily

_FAMILIES: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class MetricsCollector(Collector):
    """Reads all metrics of the table each time that it is asked.

    Args:
        figures: What is counted.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Family]:
        """Yield each metric with its values."""
        for group in GROUPS:
            for metric in group.metrics:
                yield self._family(metric)

    def _family(self, metric: Metric) -> Family:
        family: Family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
        values = metric.read(self._figures)
        if isinstance(values, (int, float)):
            family.add_metric((), values)
        else:
            for key, value in values.items():
                family.add_metric((key,) if isinstance(key, str) else key, value)
        return family


def registry_of(figures: Figures) -> CollectorRegistry:
    """Return a registry of our metrics and those of the process, and of nobody else's."""
    # Not the library's global one: commands of users may have metrics of their own there.
    registry = CollectorRegistry()
    registry.register(MetricsCollector(figures))
    ProcessCollector(registry=registry)
    return registry
