"""Monitoring attributes: what is valid, what a change does to regions, and intervals auto-tuning.

Source: DAMON core specification, sections 2 and 7 (Linux 7.3.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from numasim.damon.arith import U32, U64, mult_frac
from numasim.damon.feedback import feed
from numasim.damon.regions import Regions
from numasim.damon.spec import Attrs
from numasim.errors import Problem

_BP = 10_000
_MIN_NR_REGIONS = 3  # the kernel's vaddr needs one region for each of the three big mappings
_TUNING_LAST = 100_000_000  # input of the feedback function when it is used for tuning intervals


def attrs_problems(attrs: Attrs, place: str = "") -> list[Problem]:
    """Everything for which the kernel would refuse these attributes (section 2.1)."""
    problems = []

    def refuse(key: str, message: str) -> None:
        problems.append(Problem(f"{place}.{key}" if place else key, message))

    goal = attrs.intervals_goal
    if goal.aggrs:
        if goal.min_sample_us > goal.max_sample_us:
            refuse("intervals_goal", "min_sample_us is larger than max_sample_us")
        elif not goal.min_sample_us <= attrs.sample_us <= goal.max_sample_us:
            refuse("sample_us", f"{attrs.sample_us} us is outside the intervals goal's bounds")
    if attrs.min_nr_regions < _MIN_NR_REGIONS:
        refuse("min_nr_regions", f"{attrs.min_nr_regions} is less than {_MIN_NR_REGIONS}")
    if attrs.min_nr_regions > attrs.max_nr_regions:
        refuse("min_nr_regions", "is larger than max_nr_regions")
    if attrs.sample_us > attrs.aggr_us:
        refuse("sample_us", f"{attrs.sample_us} us is longer than the aggregation interval")
    return problems


def aggr_samples(attrs: Attrs) -> int:
    """Sampling intervals of one aggregation interval; 0 if the latter is shorter."""
    return attrs.aggr_us // (attrs.sample_us or 1)


def least_samples(share: float, attrs: Attrs) -> int:
    """Positive samples of an aggregation from which an access rate is at least a share.

    Parameters
    ----------
    share : float
        In 0..1. Rounded up: a share above none takes one sample or more.
    attrs : Attrs
    """
    return math.ceil(round(share * aggr_samples(attrs), 6))


def max_nr_accesses(attrs: Attrs) -> int:
    """Largest possible ``nr_accesses``, samples; the base of rates. At least 1."""
    return min(attrs.aggr_us // max(attrs.sample_us, 1), U32) or 1


def convert_counts(nr: np.ndarray, old_max: int, new_max: int) -> np.ndarray:
    """Sample counts of the old intervals as counts of the new ones, floored twice.

    Parameters
    ----------
    nr : int64[R]
        Samples.
    old_max, new_max : int
        `max_nr_accesses` before and after.

    Returns
    -------
    int64[R]
        Through basis points, in 32-bit arithmetic as the kernel's.
    """
    whole, part = np.divmod(nr, old_max)
    bp = (whole * _BP + ((part * _BP) & U32) // old_max) & U32
    result: np.ndarray = ((bp * new_max) & U32) // _BP
    return result


def convert_results(targets: Iterable[Regions], old: Attrs, new: Attrs, aggregating: bool) -> None:
    """Rescale counters and ages when intervals change (section 2.2, step 3).

    Parameters
    ----------
    targets : iterable of Regions
    old, new : Attrs
    aggregating : bool
        Whether the change comes in the middle of a window; then ``nr_accesses`` restarts at 0.
    """
    if not (old.sample_us and old.aggr_us and new.sample_us and new.aggr_us):
        return
    old_max, new_max = max_nr_accesses(old), max_nr_accesses(new)
    for regions in targets:
        regions.last_nr_accesses = convert_counts(regions.last_nr_accesses, old_max, new_max)
        if aggregating:
            regions.nr_accesses = np.zeros_like(regions.nr_accesses)
        else:
            regions.nr_accesses = convert_counts(regions.nr_accesses, old_max, new_max)
        age = regions.age.astype(np.uint64) * np.uint64(old.aggr_us) // np.uint64(new.aggr_us)
        regions.age = (age & np.uint64(U32)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class IntervalsScore:
    """How much was observed against the goal, and the factor by which intervals change. Both bp."""

    score_bp: int
    adaptation_bp: int


def intervals_score(
    targets: Iterable[Regions], nr_aggr_samples: int, access_bp: int
) -> IntervalsScore:
    """Score of the window just completed (section 7).

    Parameters
    ----------
    targets : iterable of Regions
    nr_aggr_samples : int
        Samples of an aggregation interval as the user set it.
    access_bp : int
        Wanted share of positive samples, basis points.
    """
    observed = possible = 0
    for regions in targets:
        size = regions.size.astype(np.uint64)
        observed += int((size * regions.nr_accesses.astype(np.uint64)).sum())
        possible += int(size.sum()) * nr_aggr_samples
    wanted = ((possible & U64) * access_bp & U64) // _BP or 1
    score = mult_frac(observed & U64, _BP, wanted)
    adaptation = feed(_TUNING_LAST, score) // _BP
    if adaptation <= _BP:
        adaptation = _BP // 2 + adaptation // 2
    return IntervalsScore(score, adaptation)


def tuned(attrs: Attrs, adaptation_bp: int, nr_aggr_samples: int) -> Attrs:
    """Attributes with intervals multiplied by that ratio, within the goal's bounds (section 7)."""
    goal = attrs.intervals_goal
    sample_us = min(goal.max_sample_us, attrs.sample_us * adaptation_bp // _BP)
    sample_us = max(goal.min_sample_us, sample_us)
    return replace(attrs, sample_us=sample_us, aggr_us=sample_us * nr_aggr_samples)
