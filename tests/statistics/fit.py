"""Do counts come from a distribution? Every test here fails a right model once in a million runs.

Seeds are fixed, so a run tells the same each time; the level matters when code changes. With fewer
than a hundred comparisons all of them together err with a chance below 1e-4.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL = 1e-6


def fits(counts: np.ndarray, chances: np.ndarray, least: float = 8.0) -> float:
    """p-value of a chi-square test of counts against chances; rare outcomes are put together."""
    counts, expected = np.asarray(counts, float), np.asarray(chances, float) * np.sum(counts)
    order = np.argsort(-expected, kind="stable")
    counts, expected = counts[order], expected[order]
    rare = expected < least
    if rare.any():
        counts = np.r_[counts[~rare], counts[rare].sum()]
        expected = np.r_[expected[~rare], expected[rare].sum()]
        if expected[-1] < least and len(expected) > 1:
            counts = np.r_[counts[:-2], counts[-2:].sum()]
            expected = np.r_[expected[:-2], expected[-2:].sum()]
    if len(counts) < 2:
        return 1.0
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    return float(stats.chi2.sf(statistic, len(counts) - 1))


def alike(one: np.ndarray, other: np.ndarray, least: float = 8.0) -> float:
    """p-value of a chi-square test that two tables of counts come from one distribution."""
    one, other = np.ravel(one).astype(float), np.ravel(other).astype(float)
    share = one.sum() / (one.sum() + other.sum())
    both = one + other
    often = both * min(share, 1 - share) >= least
    if (~often).any():
        one = np.r_[one[often], one[~often].sum()]
        other = np.r_[other[often], other[~often].sum()]
        both = one + other
    kept = both > 0
    one, other, both = one[kept], other[kept], both[kept]
    if len(both) < 2:
        return 1.0
    statistic = np.sum((one - both * share) ** 2 / (both * share))
    statistic += np.sum((other - both * (1 - share)) ** 2 / (both * (1 - share)))
    return float(stats.chi2.sf(statistic, len(both) - 1))


def near(mean: float, expected: float, deviation: float, nr: int) -> float:
    """p-value of a mean of `nr` values against its expectation, both sides."""
    return float(2 * stats.norm.sf(abs(mean - expected) / (deviation / np.sqrt(nr))))
