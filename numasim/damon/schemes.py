"""Run state of a DAMON-based operation scheme: counters, activation, and what a commit changes.

Source: DAMON core specification, sections 1.4, 2.3, 8.2 and 12 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from numasim.damon.arith import INT64_MAX
from numasim.damon.filters import FilterSet
from numasim.damon.quota import QuotaState
from numasim.damon.spec import AccessPattern, Dest, Scheme, Watermarks

_PERMIL = 1_000


@dataclass(frozen=True, eq=False)
class Ranked:
    """What adjusting a quota found out about a target's regions, for the walk that follows.

    Parameters
    ----------
    of : tuple of int64[R]
        The regions' columns; others mean other regions or counts.
    match : bool[R]
        Which match the scheme's pattern.
    rank : int64[R]
        Priorities.
    """

    of: tuple[np.ndarray, ...]
    match: np.ndarray
    rank: np.ndarray

    def holds(self, columns: tuple[np.ndarray, ...]) -> bool:
        """Whether regions with those columns are the ones that were looked at."""
        return all([mine is theirs for mine, theirs in zip(self.of, columns, strict=True)])


@dataclass
class SchemeStat:
    """Cumulative counters of a scheme, under the names DAMOS gives them. Sizes in core units."""

    nr_tried: int = 0
    sz_tried: int = 0
    nr_applied: int = 0
    sz_applied: int = 0
    sz_ops_filter_passed: int = 0
    qt_exceeds: int = 0
    nr_snapshots: int = 0


class SchemeState:
    """One scheme of a running context.

    Attributes
    ----------
    spec : Scheme
        Description in force.
    stat : SchemeStat
    quota : QuotaState
    filters : FilterSet
    core_filters_allowed : bool
        Whether the core filters let the region at hand through explicitly; the operations set
        then ignores its own.
    activated : bool
        By watermarks.
    next_apply_sis : int
        When the scheme is applied next, sampling intervals since the start.
    last_applied : object
        For the operations set: what it looked at last in this pass.
    ranked : dict of int to Ranked
        By target, from adjusting the quota to the walk of the same pass.
    """

    def __init__(self, spec: Scheme) -> None:
        self.spec = spec
        self.stat = SchemeStat()
        self.quota = QuotaState.of(spec.quota)
        self.filters = FilterSet.of(spec.filters)
        self.core_filters_allowed = False
        self.activated = True
        self.next_apply_sis = 0
        self.last_applied: object = None
        self.ranked: dict[int, Ranked] = {}

    @property
    def action(self) -> str:
        """The action's name."""
        return self.spec.action

    @property
    def target_nid(self) -> int:
        """Destination of migrations, -1 for none."""
        return self.spec.target_nid

    @property
    def dests(self) -> tuple[Dest, ...]:
        """Weighted destinations of migrations."""
        return self.spec.dests

    def commit(self, spec: Scheme) -> None:
        """Take over a new description; counters, charges and timers stay (section 2.3)."""
        self.spec = spec
        self.quota.commit(spec.quota)
        self.filters = FilterSet.of(spec.filters)
        self.activated = True

    def interval_sis(self, aggr_us: int, sample_us: int) -> int:
        """Sampling intervals between two applications."""
        return (self.spec.apply_interval_us or aggr_us) // (sample_us or 1)

    def due(self, passed_sis: int) -> bool:
        """Whether the scheme is to be applied now."""
        return passed_sis >= self.next_apply_sis and self.activated

    def watermark_wait_us(self, managed_pages: int, free_pages: int) -> int:
        """Activate or deactivate by free memory (section 12).

        Returns
        -------
        int
            Microseconds until the watermarks should be looked at again; 0 while active.
        """
        marks = self.spec.wmarks
        if marks.metric == "none":
            return 0
        permil = free_pages * _PERMIL // max(managed_pages, 1)
        if not _may_run(marks, permil, self.activated):
            self.activated = False
            return marks.interval_us
        self.activated = True
        return 0


def _may_run(marks: Watermarks, permil: int, activated: bool) -> bool:
    if permil > marks.high or permil < marks.low:
        return False
    return activated or permil < marks.mid


def due_of(schemes: Iterable[SchemeState], passed_sis: int) -> list[int]:
    """Indices of the schemes to be applied now."""
    return [i for i, scheme in enumerate(schemes) if scheme.due(passed_sis)]


def pattern_mask(
    pattern: AccessPattern, size: np.ndarray, mvsums: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Which regions match a scheme's access pattern. bool[R]"""
    match = np.ones(len(size), dtype=bool)
    for values, least, most in (
        (size, pattern.min_sz, pattern.max_sz),
        (mvsums, pattern.min_nr_accesses, pattern.max_nr_accesses),
        (age, pattern.min_age, pattern.max_age),
    ):
        if least > 0:
            match &= values >= min(least, INT64_MAX)
        if most < INT64_MAX:
            match &= values <= most
    return match


def pattern_match(pattern: AccessPattern, size: int, mvsum: int, age: int) -> bool:
    """Whether one region matches."""
    return (
        pattern.min_sz <= size <= pattern.max_sz
        and pattern.min_nr_accesses <= mvsum <= pattern.max_nr_accesses
        and pattern.min_age <= age <= pattern.max_age
    )
