"""Priority of regions under a quota: scores from 0 to 99, and the least that still fits.

Source: DAMON core specification, sections 8.2 and 8.7 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from numasim.damon.arith import U32
from numasim.damon.attrs import max_nr_accesses
from numasim.damon.spec import Attrs, Quota

MAX_SCORE = 99
_SUBSCORE = 100
_MAX_AGE_LOG = 32
_US_PER_S = 1_000_000
_AGE_SCORES = np.array(
    [
        (log + _MAX_AGE_LOG) * _SUBSCORE // _MAX_AGE_LOG // 2
        for log in (*range(_MAX_AGE_LOG + 1), *range(-_MAX_AGE_LOG, 0))
    ]
)
"""Score of an age by the bit length of its seconds, negative where there was no access."""


def scores(
    kind: str, mvsums: np.ndarray, age: np.ndarray, attrs: Attrs, quota: Quota
) -> np.ndarray:
    """Priority of each region.

    Parameters
    ----------
    kind : str
        ``"hot"``, ``"cold"``, or ``"flat"`` where an action ranks nothing.
    mvsums : int64[R]
        Pseudo moving sums, samples.
    age : int64[R]
        Aggregation intervals.
    attrs : Attrs
    quota : Quota
        For its weights; that of the size is ignored, as in the kernel.

    Returns
    -------
    int64[R]
        0 to 99.
    """
    if kind == "flat":
        return np.full(len(age), MAX_SCORE, dtype=np.int64)
    hot = _hotness(mvsums, age, attrs, quota.weight_nr_accesses, quota.weight_age)
    return hot if kind == "hot" else MAX_SCORE - hot


def _hotness(
    mvsums: np.ndarray, age: np.ndarray, attrs: Attrs, weight_freq: int, weight_age: int
) -> np.ndarray:
    total = weight_freq + weight_age
    if not total:
        return np.zeros(len(age), dtype=np.int64)
    frequency = _frequency(mvsums, max_nr_accesses(attrs))
    seconds = age.view(np.uint64) * np.uint64(attrs.aggr_us)
    seconds //= np.uint64(_US_PER_S)
    seconds &= np.uint64(U32)
    # frexp's exponent of a whole number is its bit length, exact below 2**53
    age_log = np.frexp(seconds.astype(np.float64))[1]
    np.negative(age_log, out=age_log, where=frequency == 0)
    hot: np.ndarray = frequency * weight_freq
    hot += _AGE_SCORES.take(age_log) * weight_age  # a negative place counts from the end
    hot //= total
    hot *= MAX_SCORE
    hot //= _SUBSCORE
    np.maximum(hot, 0, out=hot)  # `clip` looks up limits of types first, which takes longer
    np.minimum(hot, MAX_SCORE, out=hot)
    return hot


def _frequency(mvsums: np.ndarray, most: int) -> np.ndarray:
    """int64[R]: access frequency as a share of the most possible, in hundredths, 32 bits wide."""
    if not len(mvsums) or int(np.maximum.reduce(mvsums)) <= U32 // _SUBSCORE:  # nothing overflows
        frequency = mvsums * _SUBSCORE
        frequency //= most
        return frequency
    whole = mvsums // most
    part = mvsums - whole * most
    wrapped: np.ndarray = (whole * _SUBSCORE + ((part * _SUBSCORE) & U32) // most) & U32
    return wrapped


def min_score(parts: Iterable[tuple[np.ndarray, np.ndarray]], esz: int) -> int:
    """The least score so that all regions above it together fill the quota.

    Parameters
    ----------
    parts : iterable of (int64[R], int64[R])
        Scores and sizes of the regions that a scheme could act upon, of each target.
    esz : int
        Effective quota, core address units.
    """
    histogram = np.zeros(MAX_SCORE + 1, dtype=np.int64)
    for ranks, sizes in parts:
        np.add.at(histogram, ranks, sizes)
    filled = 0
    counts = histogram.tolist()
    for score in range(MAX_SCORE, 0, -1):
        filled += counts[score]
        if filled >= esz and filled:
            return score
    return 0
