"""Whether a number got worse: two samples of seeds, a tolerance, and stated chances of being wrong.

The seeds of now and of the baseline may be the same, and yet nothing is taken for paired: a change
that only renumbers random streams gives every seed other numbers. So the means of two samples are
compared, as if all their runs were independent. Where seeds do share something the difference
varies less than that, and the decision is only the more careful.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from numasim.gate.suite import Metric

NOTICED = 0.9
"""How often a change of `Verdict.notices` is noticed."""
SHOWN = 0.95
"""Level of the interval that is shown; it decides nothing."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class Verdict:
    """A decision on one number.

    Parameters
    ----------
    metric : Metric
    word : str
        ``ok``, ``unchanged`` (every seed gave the same number), ``better``, ``worse``, or
        ``undefined`` (some runs have no such number, or an infinite one).
    baseline, now : float
        Means.
    change, low, high : float
        Of the mean: a share of the baseline's if the metric is relative, else in its unit; with
        its 95 % interval.
    notices : float
        Change for the worse, in the same terms, that is noticed nine times of ten.
    p : float
        Chance of a change so much beyond the tolerance if it were just within.
    alpha : float
        What `p` has to stay above.
    why : str
    """

    metric: Metric
    word: str
    baseline: float
    now: float
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    notices: float = math.nan
    p: float = math.nan
    alpha: float = math.nan
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the gate stays open for this number."""
        return self.word in ("ok", "unchanged", "better")


def decide(
    metric: Metric, baseline: Sequence[float], now: Sequence[float], alpha: float
) -> Verdict:
    """Hold the runs of now against those of the baseline.

    Parameters
    ----------
    metric : Metric
    baseline, now : sequence of float
        A value of each run; neither order nor seeds matter.
    alpha : float
        Chance of calling it worse when its mean moved just as far as it may.

    Returns
    -------
    Verdict

    Notes
    -----
    Source: Welch, "The generalization of Student's problem when several different population
    variances are involved" (1947), one-sided, around the tolerance instead of zero; a relative
    tolerance is one of log values, so that mean and spread scale together.
    """
    before, after = (np.asarray(values, dtype=np.float64) for values in (baseline, now))
    wrong = int((~np.isfinite(after)).sum())
    if wrong:
        why = f"{wrong} of {len(after)} runs have no such number, no run of the baseline lacks it"
        return Verdict(metric, "undefined", float(before.mean()), math.nan, why=why)
    if not metric.relative:
        return _judged(metric, before, after, metric.within, alpha)
    if min(before.min(), after.min()) > 0:
        logs = _log_room(metric, metric.within)
        return _judged(metric, np.log(before), np.log(after), logs, alpha, logged=True)
    return _judged(metric, before, after, metric.within * abs(float(before.mean())), alpha)


def _log_room(metric: Metric, share: float) -> float:
    """A share of the baseline's mean as a difference of logs, on the side that is worse."""
    if metric.better == "higher":
        return -math.log1p(-share) if share < 1 else math.inf
    return math.log1p(share)


def _judged(
    metric: Metric,
    before: np.ndarray,
    after: np.ndarray,
    within: float,
    alpha: float,
    logged: bool = False,
) -> Verdict:
    sign = -1.0 if metric.better == "higher" else 1.0
    difference = float(after.mean() - before.mean())
    error, freedom = _error(before, after)
    tails = 2 if metric.better == "neither" else 1
    limit = float(stdtrit(freedom, 1 - alpha / tails))
    beyond = (abs(difference) if metric.better == "neither" else sign * difference) - within
    rounding = ROUNDING * max(1.0, float(np.abs(before).max()))
    p = _p(beyond, error, freedom, tails, rounding)
    unchanged = len(before) >= len(after) and bool((before[: len(after)] == after).all())
    word = "unchanged" if unchanged else "worse" if p < alpha else "ok"
    if word == "ok" and metric.better != "neither":
        gain = _p(-sign * difference - within, error, freedom, 1, rounding)
        word = "better" if gain < alpha else word
    half = float(stdtrit(freedom, (1 + SHOWN) / 2)) * error
    notices = within + (limit + float(stdtrit(freedom, NOTICED))) * error
    scale = None if logged or not metric.relative else abs(float(before.mean()))
    change, low, high = (
        _shown(x, logged, scale) for x in (difference, difference - half, difference + half)
    )
    was, now = (float(np.exp(x.mean()) if logged else x.mean()) for x in (before, after))
    noticed = abs(_shown(sign * notices, logged, scale))
    return Verdict(metric, word, was, now, change, low, high, noticed, p, alpha)


def _error(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Standard error of a difference of means, and its degrees of freedom.

    The runs of now are taken to vary at least as much as those of the baseline. They are few, and
    of skewed numbers those few that miss the long tail have a low mean and a small spread at once:
    with their own spread alone that raised more than twice the stated false alarms.
    """
    spreads = [float(x.var(ddof=1)) for x in (before, after)]
    parts = [spreads[0] / len(before), max(spreads) / len(after)]
    total = sum(parts)
    if total == 0.0:
        return 0.0, float(len(before) + len(after) - 2)
    weights = (part**2 / (len(x) - 1) for part, x in zip(parts, (before, after), strict=True))
    return math.sqrt(total), total**2 / sum(weights)


def _p(beyond: float, error: float, freedom: float, tails: int, rounding: float) -> float:
    """Chance of so much beyond the tolerance; numbers without chance are beyond it or are not."""
    if error <= rounding:
        return 0.0 if beyond > rounding else 1.0
    return min(1.0, tails * float(stdtr(freedom, -beyond / error)))


def _shown(value: float, logged: bool, scale: float | None) -> float:
    """A difference as people read it."""
    if logged:
        return math.expm1(value)
    if scale is None:
        return value
    return value / scale if scale else math.copysign(math.inf, value) if value else 0.0


def seeds_to_notice(
    metric: Metric, baseline: Sequence[float], notice: float, alpha: float, nr_baseline: int
) -> int | None:
    """Seeds with which a relative change for the worse is noticed nine times of ten.

    Parameters
    ----------
    metric : Metric
    baseline : sequence of float
    notice : float
    alpha : float
    nr_baseline : int
        Seeds of the baseline.

    Returns
    -------
    int or None
        None if the tolerance or the baseline's own error does not leave room for it.
    """
    x = np.asarray(baseline, dtype=np.float64)
    if metric.relative and x.min() > 0:
        x, room = np.log(x), _log_room(metric, notice) - _log_room(metric, metric.within)
    else:
        within = metric.within * abs(float(x.mean())) if metric.relative else metric.within
        room = notice * abs(float(x.mean())) - within
    spread = float(x.std(ddof=1))
    if spread <= ROUNDING * float(np.abs(x).max()):
        return 1 if room > 0 else None
    freedom = 2.0 * len(x)
    z = float(stdtrit(freedom, 1 - alpha)) + float(stdtrit(freedom, NOTICED))
    left = (room / z / spread) ** 2 - 1 / nr_baseline if room > 0 else 0.0
    return math.ceil(1 / left) if left > 0 else None
