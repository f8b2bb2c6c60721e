"""Does the kernel's run look like one more seed of ours?

One metric: the kernel's value minus the mean over seeds, in standard deviations (z). It passes
within the 1-99 % range of simulated values. Twenty seeds show no such range by themselves, so it is
the prediction interval of a normal distribution (Student's t, the mean's own error included),
widened to what seeds really came to. A deviation never counts as smaller than the metric's
resolution, which also serves metrics that are the same for every seed.

Many metrics: z of all gated ones together, by their root mean square, the share beyond 2 and the
largest. Metrics hang together, so what a perfect model would score is not known from theory. It is
found by taking left-out seeds for the kernel, and by drawing runs with the correlations that the
seeds have; the larger limit counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from numasim.validate.metrics import Measured
from numasim.validate.metrics.monitoring import distance_between

RANGE = (0.01, 0.99)
FAMILY_ERROR = 0.01
BEYOND = 2.0
WORST_Z = 10.0
"""Stands for what no seed ever did; no z counts for more."""
DRAWS = 20_000
CHUNK = 1_000
DRAW_SEED = 20
STATISTICS = ("rms", "share", "largest")


@dataclass(frozen=True)
class MetricVerdict:
    """One metric of one run.

    Parameters
    ----------
    name, unit : str
    kernel : float
        For profiles, their distance from the mean of all other runs.
    low, median, high : float
        1, 50 and 99 % of simulated runs.
    z : float
    gated, ok : bool
    n : int
        Seeds that have a value.
    """

    name: str
    unit: str
    kernel: float
    low: float
    median: float
    high: float
    z: float
    gated: bool
    ok: bool
    n: int


@dataclass(frozen=True)
class RunScores:
    """Metrics of a run, and what is needed to pool them.

    Parameters
    ----------
    metrics : tuple of MetricVerdict
    z : float64[M]
        Of gated metrics that vary or differ.
    left_out : float64[N, M]
        The same with each seed taken for the kernel.
    spread : float64[N, M]
        Seeds about their mean, in the deviations by which z is scaled.
    floor : float64[M]
        Part of those deviations that is the metric's resolution.
    """

    metrics: tuple[MetricVerdict, ...]
    z: np.ndarray
    left_out: np.ndarray
    spread: np.ndarray
    floor: np.ndarray


@dataclass(frozen=True)
class Pooled:
    """Many metrics together: statistics, and what a perfect model stays below.

    Parameters
    ----------
    nr : int
        Metrics.
    rms, share, largest : float
        Root mean square of z, share of |z| beyond 2, largest |z|.
    limits : dict of str to float
    error : float
        Probability that a perfect model exceeds any of the limits.
    """

    nr: int
    rms: float
    share: float
    largest: float
    limits: dict[str, float]
    error: float

    @property
    def ok(self) -> bool:
        """Whether all are within their limits."""
        return all(getattr(self, name) <= self.limits[name] for name in self.limits)


# -- one run ---------------------------------------------------------------------------------------


def score(kernel: Mapping[str, Measured], sims: Sequence[Mapping[str, Measured]]) -> RunScores:
    """Hold the kernel's metrics against those of all seeds of the same run."""
    verdicts: list[MetricVerdict] = []
    columns: list[tuple[float, np.ndarray, np.ndarray, float]] = []
    for name, one in kernel.items():
        others = [sim[name] for sim in sims if name in sim]
        found, column = _metric(one, others, len(sims))
        verdicts.append(found)
        if column is not None:
            columns.append(column)
    n = len(sims)
    return RunScores(
        tuple(verdicts),
        np.array([c[0] for c in columns]),
        np.array([c[1] for c in columns]).reshape(-1, n).T,
        np.array([c[2] for c in columns]).reshape(-1, n).T,
        np.array([c[3] for c in columns]),
    )


def _metric(
    kernel: Measured, sims: list[Measured], wanted: int
) -> tuple[MetricVerdict, tuple[float, np.ndarray, np.ndarray, float] | None]:
    own, values, left_values = _numbers(kernel, sims)
    good = np.isfinite(values)
    n = int(good.sum())
    gated = bool(kernel.gated and np.isfinite(own))
    if n < max(3, wanted / 2) or not np.isfinite(own):
        # hardly any seed came to have this at all
        z = WORST_Z if np.isfinite(own) else np.nan
        ok = bool(not np.isfinite(own))
        nan = float("nan")
        verdict = MetricVerdict(
            kernel.name, kernel.unit, _back(kernel, own), nan, nan, nan, z, gated, ok, n
        )
        blank = (z, np.zeros(wanted), np.zeros(wanted), 0.0)
        return verdict, blank if gated else None
    values = values[good]
    if kernel.events and not values.any() and n + 1 < 1 / RANGE[0]:
        gated = False
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    scale = float(np.hypot(sd, kernel.resolution))
    z = float(np.clip(_z(own - mean, scale), -WORST_Z, WORST_Z))
    half = _reach(n) * scale
    low, high = min(mean - half, values.min()), max(mean + half, values.max())
    slack = 1e-12 * max(1.0, abs(own))
    verdict = MetricVerdict(
        kernel.name, kernel.unit, _back(kernel, own), _back(kernel, low),
        _back(kernel, float(np.median(values))), _back(kernel, high), z, gated,
        bool(low - slack <= own <= high + slack), n,
    )  # fmt: skip
    if not gated or (sd == 0 and abs(own - mean) <= slack):
        return verdict, None
    left = _filled(_left_out(left_values[good], kernel.resolution), good, wanted)
    spread = _filled((values - mean) / scale if scale > 0 else values * 0, good, wanted)
    return verdict, (z, left, spread, kernel.resolution / scale if scale > 0 else 0.0)


def _numbers(kernel: Measured, sims: list[Measured]) -> tuple[float, np.ndarray, np.ndarray]:
    """The kernel's number, the seeds' beside it, and the seeds' without it.

    A profile becomes its distance from the mean of all other runs, the kernel being one of them,
    so that any of them could be the kernel.
    """
    if not kernel.distance:
        values = np.array([float(sim.value) for sim in sims])
        if kernel.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log(np.append(values, float(kernel.value)))
            values, own = logs[:-1], float(logs[-1])
        else:
            own = float(kernel.value)
        return own, values, values
    rows = np.array([sim.value for sim in sims] + [kernel.value])
    if len(rows) < 3:
        return float("nan"), np.full(len(sims), np.nan), np.full(len(sims), np.nan)
    with_kernel = _from_others(rows, kernel.distance)
    without = _from_others(rows[:-1], kernel.distance)
    if kernel.log:
        with_kernel, without = (np.log(np.maximum(d, 1e-9)) for d in (with_kernel, without))
    return float(with_kernel[-1]), with_kernel[:-1], without


def _from_others(rows: np.ndarray, distance: str) -> np.ndarray:
    total = rows.sum(axis=0)
    others = (total - rows) / (len(rows) - 1)
    return np.array([distance_between(a, b, distance) for a, b in zip(rows, others, strict=True)])


def _back(kernel: Measured, value: float) -> float:
    return float(np.exp(value)) if kernel.log else float(value)


def _reach(n: int) -> float:
    """Half the width of the 1-99 % range of one more value, in deviations of n others."""
    return float(stdtrit(n - 1, RANGE[1]) * np.sqrt(1 + 1 / n))


def _z(difference: float, scale: float) -> float:
    if scale > 0:
        return difference / scale
    return 0.0 if difference == 0 else float(np.copysign(WORST_Z, difference))


def _left_out(values: np.ndarray, resolution: float) -> np.ndarray:
    """z of each value against all others. float64[N]"""
    n = len(values)
    if n < 3:
        return np.zeros(n)
    others = (values.sum() - values) / (n - 1)
    centred = values - values.mean()
    squares = (centred**2).sum() - centred**2 * n / (n - 1)
    scale = np.hypot(np.sqrt(np.maximum(squares, 0) / (n - 2)), resolution)
    z = np.divide(values - others, scale, out=np.zeros(n), where=scale > 0)
    odd = (scale == 0) & (np.abs(values - others) > 0)
    return np.clip(np.where(odd, WORST_Z, z), -WORST_Z, WORST_Z)


def _filled(values: np.ndarray, good: np.ndarray, wanted: int) -> np.ndarray:
    """Zero for seeds that have no value."""
    found = np.zeros(wanted)
    found[np.flatnonzero(good)] = values
    return found


# -- many metrics ----------------------------------------------------------------------------------


def pool(runs: Sequence[RunScores], error: float, draws: int = DRAWS) -> Pooled | None:
    """Statistics of all gated metrics of some runs, and the limits of a perfect model.

    Parameters
    ----------
    runs : sequence of RunScores
    error : float
        Probability of a false alarm.
    draws : int
        From which limits are found.

    Returns
    -------
    Pooled or None
        None where there is nothing to pool.
    """
    runs = [run for run in runs if len(run.z)]
    if not runs:
        return None
    z = np.concatenate([run.z for run in runs])
    rng = np.random.default_rng(DRAW_SEED)  # the same runs always have the same limits
    drawn = _statistics([_perfect(run, rng, draws) for run in runs])
    left = _statistics([_seeds_as_kernel(run, rng, draws) for run in runs])
    level = _joint_level(drawn, error)
    limits = {
        name: float(max(np.quantile(drawn[:, i], level), np.quantile(left[:, i], level)))
        for i, name in enumerate(STATISTICS)
    }
    return Pooled(
        len(z), float(np.sqrt(np.mean(z**2))), float(np.mean(np.abs(z) > BEYOND)),
        float(np.abs(z).max()), limits, error,
    )  # fmt: skip


_Sums = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""Of many draws of one run: sum of squares, number beyond, largest; and number of metrics."""


def _sums(z: np.ndarray) -> _Sums:
    size = np.abs(z)
    return (z**2).sum(axis=1), (size > BEYOND).sum(axis=1), size.max(axis=1), z.shape[1]


def _statistics(parts: Sequence[_Sums]) -> np.ndarray:
    """rms, share and largest of each draw over all runs. float64[draws, 3]"""
    nr = sum(part[3] for part in parts)
    squares = sum((part[0] for part in parts), np.zeros(1))
    beyond = sum((part[1] for part in parts), np.zeros(1))
    largest = np.max([part[2] for part in parts], axis=0)
    return np.stack([np.sqrt(squares / nr), beyond / nr, largest], axis=1)


def _seeds_as_kernel(run: RunScores, rng: np.random.Generator, draws: int) -> _Sums:
    rows = rng.integers(0, len(run.left_out), draws)
    squares, beyond, largest, nr = _sums(run.left_out)
    return squares[rows], beyond[rows], largest[rows], nr


def _perfect(run: RunScores, rng: np.random.Generator, draws: int) -> _Sums:
    """Runs drawn with the seeds' correlations, each held against as many drawn seeds."""
    n = len(run.spread)
    basis = run.spread / np.sqrt(n - 1)
    parts = []
    for _ in range(-(-draws // CHUNK)):
        runs = rng.standard_normal((CHUNK, n + 1, n)) @ basis
        kernel, seeds = runs[:, 0], runs[:, 1:]
        scale = np.hypot(seeds.std(axis=1, ddof=1), run.floor)
        known = run.floor * rng.standard_normal(kernel.shape)  # to within its resolution
        difference = kernel + known - seeds.mean(axis=1)
        z = np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0)
        parts.append(_sums(np.clip(z, -WORST_Z, WORST_Z)))
    squares, beyond, largest = (np.concatenate([p[i] for p in parts])[:draws] for i in range(3))
    return squares, beyond, largest, len(run.z)


def _joint_level(drawn: np.ndarray, error: float) -> float:
    """Level of each statistic's limit at which any of them is exceeded that often."""
    ranks = drawn.argsort(axis=0).argsort(axis=0)
    worst = ranks.max(axis=1) / (len(drawn) - 1)
    return float(np.quantile(worst, 1 - error))
