"""How the numbers of a run are called and written for people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from numasim.units import format_bytes


@dataclass(frozen=True)
class Metric:
    """A number of `Result.summary` on paper; none is below zero, shares are at most one.

    An optional one is told only where some run has it.
    """

    key: str
    title: str
    write: Callable[[float], str]
    most: float = math.inf
    optional: bool = False


def _plain(digits: int, scale: float = 1.0) -> Callable[[float], str]:
    return lambda value: f"{value * scale:,.{digits}f}"


def significant(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, without exponent where that is readable."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals < 0:
        return f"{round(value, decimals):,.0f}"
    return f"{value:.{decimals}f}" if decimals < 8 else f"{value:.{digits - 1}g}"


def seconds(value: float) -> str:
    """A time that may never come."""
    return "-" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.1f}"


METRICS = (
    Metric("throughput_ops_per_s", "throughput (operations/s)", significant),
    Metric("local_share", "local access share (%)", _plain(1, 100), 1.0),
    Metric("loaded_latency_ns", "mean loaded latency (ns)", _plain(1)),
    Metric("op_p99_ns", "operation p99 (ns)", _plain(0)),
    Metric("promoted_bytes", "promoted", format_bytes),
    Metric("demoted_bytes", "demoted", format_bytes),
    Metric("both_ways_bytes", "moved both ways, at most", format_bytes),
    Metric("refused_bytes", "found no room", format_bytes),
    Metric("kdamond_cpu", "kdamonds (% of a CPU)", _plain(2, 100)),
    Metric("thread_cpu", "faults, scans (% of a CPU)", _plain(2, 100), optional=True),
    Metric("kswapd_cpu", "kswapd (% of a CPU)", _plain(2, 100), optional=True),
    Metric("worker_cpu", "its threads (% of a CPU)", _plain(2, 100), optional=True),
    Metric("emd", "monitoring error (EMD)", _plain(3), 1.0),
    Metric("f1", "hot set found (F1)", _plain(3), 1.0),
    Metric("shifts_followed", "shifts followed (%)", _plain(0, 100), 1.0),
    Metric("convergence_s", "shift followed after (s)", _plain(1)),
)


def metrics_of(keys: list[str]) -> list[Metric]:
    """Those of the keys, known ones first; others under their own name."""
    known = {metric.key: metric for metric in METRICS}
    rest = [Metric(key, key, significant) for key in keys if key not in known]
    return [metric for metric in METRICS if metric.key in keys] + rest


def written(metric: Metric, value: float) -> str:
    """The value, ``-`` where there is none, ``never`` for an infinite time."""
    if math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else metric.write(value)
