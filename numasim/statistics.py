"""Means and ratios over seeds, with intervals.

Runs of two policies that share a seed meet the same workload draws, so they are compared pair by
pair: the ratio of a pair is what varies, and its mean is a geometric one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
BOOTSTRAP_FROM = 20
"""Seeds from which intervals are bootstrapped; fewer tell too little of a distribution's shape."""
RESAMPLES = 9_999
RESAMPLE_SEED = 1987


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval it lies in, at level `LEVEL`.

    Parameters
    ----------
    mean : float
        NaN where it is undefined for a seed, infinite where a seed's value is.
    low, high : float
        NaN where there is no interval: a single value, or values that are not all finite.
    n : int
        Values that are numbers; an interval of equal low and high comes from n equal values.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def method(self) -> str:
        """How the interval was found: ``student t`` or ``bca bootstrap``."""
        return method(self.n)


def method(n: int) -> str:
    """The kind of interval for that many seeds."""
    return "bca bootstrap" if n >= BOOTSTRAP_FROM else "student t"


def mean_interval(values: Sequence[float]) -> Interval:
    """Arithmetic mean over seeds.

    Parameters
    ----------
    values : sequence of float
        One per seed.

    Returns
    -------
    Interval
        Student t below `BOOTSTRAP_FROM` values, BCa bootstrap from there on. Equal values give an
        interval that is a point. One NaN makes the mean NaN, else one infinity makes it infinite.

    Notes
    -----
    Source: Student (1908); Efron, "Better bootstrap confidence intervals" (1987).
    """
    x = np.asarray(values, dtype=np.float64)
    n = int(np.count_nonzero(~np.isnan(x)))
    if not len(x) or n < len(x):
        return Interval(math.nan, math.nan, math.nan, n)
    if (x == x[0]).all():
        low = float(x[0]) if n > 1 else math.nan
        return Interval(float(x[0]), low, low, n)
    mean = float(x.mean())
    if not np.isfinite(x).all():
        return Interval(mean, math.nan, math.nan, n)
    low, high = _bootstrap(x) if n >= BOOTSTRAP_FROM else _student(x)
    return Interval(mean, low, high, n)


def ratio_interval(values: Sequence[float], base: Sequence[float]) -> Interval:
    """Geometric mean over seeds of the ratio of paired values.

    Parameters
    ----------
    values, base : sequence of float
        One per seed, paired by position.

    Returns
    -------
    Interval
        Intervals are those of the log ratios. NaN where a pair has no ratio: a value that is
        zero, negative or not finite; `n` counts the pairs that have one.
    """
    x, b = (np.asarray(v, dtype=np.float64) for v in (values, base))
    good = np.isfinite(x) & np.isfinite(b) & (x > 0) & (b > 0)
    if not len(x) or not good.all():
        return Interval(math.nan, math.nan, math.nan, int(good.sum()))
    found = mean_interval(np.log(x / b).tolist())
    return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.n)


def _student(x: np.ndarray) -> tuple[float, float]:
    n = len(x)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2) * x.std(ddof=1) / math.sqrt(n))
    mean = float(x.mean())
    return mean - half, mean + half


def _bootstrap(x: np.ndarray) -> tuple[float, float]:
    from scipy.stats import bootstrap  # most of a second, and few comparisons get here

    rng = np.random.default_rng(RESAMPLE_SEED)
    found = bootstrap(
        (x,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="BCa", rng=rng
    ).confidence_interval
    return float(found.low), float(found.high)
