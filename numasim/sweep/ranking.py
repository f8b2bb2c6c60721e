"""What a sweep says about policies: ratios paired by seed, honest about how many were compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.result import Result
from numasim.statistics import (
    LEVEL,
    Interval,
    hedges_g,
    holm,
    mean_interval,
    paired_p,
    ratio_interval,
    stein_interval,
)
from numasim.sweep.plan import Group, Point
from numasim.sweep.sweeping import Sweep

METRIC = "throughput_ops_per_s"
HIGHER = frozenset((METRIC, "local_share", "f1", "shifts_followed"))
"""Metrics of which more is better; of all others, less."""


@dataclass(frozen=True)
class Standing:
    """A policy beside the first one, on the same machine, workload and seeds.

    Parameters
    ----------
    group : tuple
        See `Point.group`.
    policy : str
        With its parameters.
    mean : float
        Arithmetic mean over seeds.
    ratio : Interval
        To the first policy; all intervals of a sweep hold together at `LEVEL`.
    effect : float
        Mean log ratio over its spread between seeds (Hedges' g).
    better : float
        Share of seeds in which it was better.
    p : float
        That there is no difference, corrected for all comparisons of the sweep (Holm).
    rank : int
        1 is the best mean of the group.
    """

    group: Group
    policy: str
    mean: float
    ratio: Interval
    effect: float
    better: float
    p: float
    rank: int


def known_metrics() -> tuple[str, ...]:
    """Numbers that every run has: those of a run in which nothing happened."""
    return tuple(Result.of({}, {}).summary())


def check_metric(metric: str, place: str) -> None:
    """See that runs will have a number, before any does.

    Raises
    ------
    ConfigError
    """
    known = known_metrics()
    if metric not in known:
        raise ConfigError(Problem(place, f'no number "{metric}"', did_you_mean(metric, known)))


def values_by_point(sweep: Sweep, metric: str) -> dict[str, dict[int, float]]:
    """Finished values of a metric by point (as text of its labels) and seed.

    Raises
    ------
    ConfigError
        If runs have no such number.
    """
    found: dict[str, dict[int, float]] = {}
    for task in sweep.tasks:
        metrics = sweep.metrics.get(task.key)
        if metrics is None:
            continue
        if metric not in metrics:
            hint = did_you_mean(metric, metrics)
            raise ConfigError(Problem("--metric", f'no number "{metric}"', hint))
        found.setdefault(str(task.labels), {})[task.seed] = metrics[metric]
    return found


def paired(
    values: Mapping[str, Mapping[int, float]], point: Point, first: Point
) -> tuple[list[float], list[float]]:
    """Values of two points for the seeds that both have, in the order of the first's."""
    mine, other = values.get(str(point.labels), {}), values.get(str(first.labels), {})
    seeds = [seed for seed in other if seed in mine]
    return [mine[seed] for seed in seeds], [other[seed] for seed in seeds]


def standings(sweep: Sweep, metric: str = METRIC, pilot: int = 0) -> list[Standing]:
    """Every policy beside the first of its group.

    Parameters
    ----------
    sweep : Sweep
    metric : str
        A number of `Result.summary`.
    pilot : int
        How many seeds decided how many there are (`sweep_until`); 0 if none did.

    Raises
    ------
    ConfigError
    """
    values = values_by_point(sweep, metric)
    groups = sweep.plan.groups()
    nr = max(1, sum(len(points) - 1 for points in groups.values()))
    level = 1 - (1 - LEVEL) / nr
    pairs = {
        (group, point.policy()): paired(values, point, points[0])
        for group, points in groups.items()
        for point in points
    }
    others = [(g, p.policy()) for g, points in groups.items() for p in points[1:]]
    corrected = dict(zip(others, holm([paired_p(*pairs[key]) for key in others]), strict=True))
    sign = 1 if metric in HIGHER else -1
    found = []
    for group, points in groups.items():
        means = [_mean(pairs[group, p.policy()][0]) for p in points]
        order = sorted(means, key=lambda m: math.inf if math.isnan(m) else -sign * m)
        for point, mean in zip(points, means, strict=True):
            name = point.policy()
            mine, base = pairs[group, name]
            wins = [sign * a > sign * b for a, b in zip(mine, base, strict=True)]
            better = float(np.mean(wins)) if wins else math.nan
            rank = order.index(mean) + 1 if not math.isnan(mean) else len(points)
            ratio, effect = _ratio(mine, base, level, pilot), hedges_g(mine, base)
            p = corrected.get((group, name), math.nan)
            found.append(Standing(group, name, mean, ratio, effect, better, p, rank))
    return found


def _mean(values: list[float]) -> float:
    return mean_interval(values).mean if values else math.nan


def _ratio(mine: list[float], base: list[float], level: float, pilot: int) -> Interval:
    found = ratio_interval(mine, base, level)
    if not pilot or len(mine) < pilot or math.isnan(found.low):
        return found
    logs = [math.log(a / b) for a, b in zip(mine, base, strict=True)]
    mean, low, high = (math.exp(x) for x in stein_interval(logs, pilot, level))
    return Interval(mean, low, high, len(mine))


def table(found: list[Standing]) -> pd.DataFrame:
    """Standings as a table: a row for each, with the labels of its group."""
    rows = [
        {
            **dict(one.group), "policy": one.policy, "rank": one.rank, "mean": one.mean,
            "ratio": one.ratio.mean, "low": one.ratio.low, "high": one.ratio.high,
            "seeds": one.ratio.n, "effect": one.effect, "better": one.better, "p_holm": one.p,
        }
        for one in found
    ]  # fmt: skip
    return pd.DataFrame(rows)
