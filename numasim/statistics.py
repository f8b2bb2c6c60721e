"""Means and ratios over seeds, with intervals.

Runs of two policies that share a seed meet the same workload draws, so they are compared pair by
pair: the ratio of a pair is what varies, and its mean is a geometric one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

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


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Arithmetic mean over seeds.

    Parameters
    ----------
    values : sequence of float
        One per seed.
    level : float
        Of the interval.

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
    low, high = _bootstrap(x, level) if n >= BOOTSTRAP_FROM else _student(x, level)
    return Interval(mean, low, high, n)


def ratio_interval(
    values: Sequence[float], base: Sequence[float], level: float = LEVEL
) -> Interval:
    """Geometric mean over seeds of the ratio of paired values.

    Parameters
    ----------
    values, base : sequence of float
        One per seed, paired by position.
    level : float
        Of the interval.

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
    found = mean_interval(np.log(x / b).tolist(), level)
    return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.n)


def hedges_g(values: Sequence[float], base: Sequence[float]) -> float:
    """How large a difference is beside its spread over seeds: of paired log ratios.

    Parameters
    ----------
    values, base : sequence of float
        One per seed, paired by position.

    Returns
    -------
    float
        Mean over standard deviation, corrected for few seeds. NaN where a pair has no ratio or of
        fewer than three seeds, whose spread says nothing; infinite where all ratios are equal and
        not one.

    Notes
    -----
    Source: Hedges, "Distribution theory for Glass's estimator of effect size" (1981).
    """
    logs = _log_ratios(values, base)
    if logs is None or len(logs) < 3:
        return math.nan
    mean, spread = float(logs.mean()), float(logs.std(ddof=1))
    if spread == 0.0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / spread * (1 - 3 / (4 * (len(logs) - 1) - 1))


def paired_p(values: Sequence[float], base: Sequence[float]) -> float:
    """Chance of a mean log ratio at least this far from none, if there were none: Student, paired.

    Parameters
    ----------
    values, base : sequence of float
        One per seed, paired by position.

    Returns
    -------
    float
        NaN where a pair has no ratio or there is one seed.

    Notes
    -----
    Source: Student (1908).
    """
    logs = _log_ratios(values, base)
    if logs is None or len(logs) < 2:
        return math.nan
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    if error == 0.0:
        return 0.0 if logs[0] else 1.0
    return float(2 * stdtr(len(logs) - 1, -abs(float(logs.mean())) / error))


def holm(p: Sequence[float]) -> list[float]:
    """Probabilities of several tests, raised so that the lowest of them means what it says.

    Parameters
    ----------
    p : sequence of float
        NaN where there was no test; those are not counted.

    Returns
    -------
    list of float
        In the same order. Where nothing differs, any of them falls below a level (0.05, say) no
        more often than that (in one case of twenty).

    Notes
    -----
    Source: Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    found = [math.nan] * len(p)
    order = sorted((i for i, one in enumerate(p) if not math.isnan(one)), key=lambda i: p[i])
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p[i]))
        found[i] = highest
    return found


def stein_seeds(pilot: Sequence[float], half_width: float, level: float = LEVEL) -> int:
    """How many values are needed, the pilot's among them, for an interval so narrow.

    The number depends on the pilot's spread alone, so the interval at the end, from the mean of all
    values and the pilot's spread (`stein_interval`), covers as often as it says. Looking after
    every seed whether the interval is narrow by now does not: it stops where chance made it so.

    Parameters
    ----------
    pilot : sequence of float
        At least two values.
    half_width : float
        Wanted, in the values' unit.
    level : float

    Notes
    -----
    Source: Stein, "A two-sample test for a linear hypothesis whose power is independent of the
    variance" (1945).
    """
    spread = float(np.std(np.asarray(pilot, dtype=np.float64), ddof=1))
    t = float(stdtrit(len(pilot) - 1, (1 + level) / 2))
    return max(len(pilot), math.ceil((t * spread / half_width) ** 2))


def stein_interval(
    values: Sequence[float], nr_pilot: int, level: float = LEVEL
) -> tuple[float, float, float]:
    """Mean, low and high of values whose number the first `nr_pilot` decided; see `stein_seeds`.

    Parameters
    ----------
    values : sequence of float
        The pilot's first.
    nr_pilot : int
    level : float
    """
    x = np.asarray(values, dtype=np.float64)
    spread = float(x[:nr_pilot].std(ddof=1))
    half = float(stdtrit(nr_pilot - 1, (1 + level) / 2)) * spread / math.sqrt(len(x))
    mean = float(x.mean())
    return mean, mean - half, mean + half


def _log_ratios(values: Sequence[float], base: Sequence[float]) -> np.ndarray | None:
    x, b = (np.asarray(v, dtype=np.float64) for v in (values, base))
    good = np.isfinite(x) & np.isfinite(b) & (x > 0) & (b > 0)
    found: np.ndarray | None = np.log(x / b) if len(x) and good.all() else None
    return found


def _student(x: np.ndarray, level: float) -> tuple[float, float]:
    n = len(x)
    half = float(stdtrit(n - 1, (1 + level) / 2) * x.std(ddof=1) / math.sqrt(n))
    mean = float(x.mean())
    return mean - half, mean + half


def _bootstrap(x: np.ndarray, level: float) -> tuple[float, float]:
    from scipy.stats import bootstrap  # most of a second, and few comparisons get here

    rng = np.random.default_rng(RESAMPLE_SEED)
    found = bootstrap(
        (x,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method="BCa", rng=rng
    ).confidence_interval
    return float(found.low), float(found.high)
