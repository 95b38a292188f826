"""Families of metrics in Prometheus' words, each under our prefix."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

PREFIX: Final = "chopmark_"
Series = Mapping[Any, float]
"""Values by the tuple of their labels' values, which mypy would want to be of one length."""


def info(name: str, about: str, labels: Mapping[str, str]) -> Metric:
    """What something is, as labels of a 1; `_info` is added to the name."""
    family = InfoMetricFamily(PREFIX + name, about)
    family.add_metric((), dict(labels))
    return family


def gauge(name: str, about: str, value: float) -> Metric:
    """One value that goes up and down."""
    return GaugeMetricFamily(PREFIX + name, about, value=float(value))


def counter(name: str, about: str, value: float) -> Metric:
    """One value that only grows; `_total` is added to the name."""
    return CounterMetricFamily(PREFIX + name, about, value=value)


def gauges(name: str, about: str, labels: tuple[str, ...], values: Series) -> Metric:
    """Values that go up and down, by labels."""
    family = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, float(value))
    return family


def counters(name: str, about: str, labels: tuple[str, ...], values: Series) -> Metric:
    """Values that only grow, by labels; `_total` is added to the name."""
    family = CounterMetricFamily(PREFIX + name, about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def states(
    name: str,
    about: str,
    known: tuple[str, ...],
    actual: Mapping[Any, str],
    labels: tuple[str, ...] = (),
) -> Metric:
    """One series for each state that can be: 1 for the one that is, 0 for the others."""
    values = {
        (*label, state): float(state == one) for label, one in actual.items() for state in known
    }
    return gauges(name, about, (*labels, "state"), values)


def histogram(
    name: str, about: str, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Metric:
    """Counts between bounds, the last of what is beyond all, and the sum of what was counted."""
    buckets, so_far = [], 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        so_far += count
        buckets.append((bound, float(so_far)))
    return HistogramMetricFamily(PREFIX + name, about, buckets, total)
