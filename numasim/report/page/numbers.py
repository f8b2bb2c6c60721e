"""How the numbers of a summary are called and written on a page."""

from __future__ import annotations

import math
from collections.abc import Callable

from numasim.report.furniture import short_number
from numasim.report.page.content import Cell, percent
from numasim.units import format_bytes

MOST_EFFECT = 99.0
SAME = 1e-9
"""Ends of an interval that are nearer to each other differ by rounding alone."""
METRICS = {
    "throughput_ops_per_s": "Throughput (operations/s)",
    "local_share": "Local share",
    "loaded_latency_ns": "Loaded latency",
    "op_p99_ns": "99th percentile of an operation",
    "promoted_bytes": "Promoted",
    "demoted_bytes": "Demoted",
    "both_ways_bytes": "Moved both ways, at most",
    "refused_bytes": "Found no room where it was to go",
    "kdamond_cpu": "Overhead of kdamonds (of one CPU)",
    "thread_cpu": "Threads' faults, scans, samples (of one CPU)",
    "kswapd_cpu": "Overhead of kswapd (of one CPU)",
    "worker_cpu": "A policy's own threads (of one CPU)",
    "emd": "Monitoring error (EMD)",
    "f1": "Hot set found (F1)",
    "shifts_followed": "Shifts followed",
    "convergence_s": "Shift followed after",
}
"""Numbers of `Result.summary`, as a page calls them."""


def _ns(value: float) -> str:
    return f"{value:,.1f}\u00a0ns"


FORMS: dict[str, Callable[[float], str]] = {
    "throughput_ops_per_s": short_number,
    "local_share": percent,
    "loaded_latency_ns": _ns,
    "op_p99_ns": _ns,
    "promoted_bytes": format_bytes,
    "demoted_bytes": format_bytes,
    "both_ways_bytes": format_bytes,
    "refused_bytes": format_bytes,
    "kdamond_cpu": lambda v: percent(v) if v else "–",  # 0 where a policy has no kdamond
    "thread_cpu": percent,
    "kswapd_cpu": percent,
    "worker_cpu": percent,
    "emd": percent,
    "f1": lambda v: f"{v:.3f}",
    "shifts_followed": percent,
    "convergence_s": lambda v: f"{v:.1f}\u00a0s",
}


def write(metric: str, value: float) -> str:
    """A number with its unit; ``–`` where there is none, ``never`` for an infinite time."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never" if value > 0 else "–"
    return FORMS.get(metric, short_number)(value)


def title(metric: str) -> str:
    """What a page calls a number."""
    return METRICS.get(metric, metric)


def effect(value: float) -> Cell:
    """A cell of an effect size: beyond a hundred, no difference between seeds is left to tell."""
    if math.isnan(value):
        return "–", None
    bounded = max(-MOST_EFFECT, min(MOST_EFFECT, value))
    if bounded != value:
        return f"{'>' if value > 0 else '<'} {bounded:+.0f}", bounded
    return f"{value:+.2f}", value


def between(low: float, high: float, nr_seeds: int, level: float) -> str:
    """An interval in words, with so many digits that its ends differ.

    Parameters
    ----------
    low, high : float
        Finite ends.
    nr_seeds : int
    level : float
        Of confidence.
    """
    if math.isclose(low, high, rel_tol=SAME):
        return f"the same in all {nr_seeds} seeds"
    digits = next(d for d in range(4, 18) if f"{low:.{d}g}" != f"{high:.{d}g}")
    return f"{level:.0%} interval {low:.{digits}g} to {high:.{digits}g}, {nr_seeds} seeds"
