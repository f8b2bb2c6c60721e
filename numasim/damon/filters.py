"""DAMOS filters: which regions the core lets through, and which folios an operations set does.

Source: DAMON core specification, section 10 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from numasim.damon.arith import INT64_MAX, align_down
from numasim.damon.spec import CORE_FILTERS, Filter


def default_reject(filters: Sequence[Filter]) -> bool:
    """Whether memory that no filter of the list matches is rejected: iff the last one allows."""
    return bool(filters) and filters[-1].allow


@dataclass(frozen=True)
class FilterSet:
    """The filters of a scheme, divided by who handles them.

    Attributes
    ----------
    core, ops : tuple of Filter
        In the order in which they were given.
    core_default_reject, ops_default_reject : bool
        What becomes of memory that no filter matches.
    """

    core: tuple[Filter, ...]
    ops: tuple[Filter, ...]
    core_default_reject: bool
    ops_default_reject: bool

    @classmethod
    def of(cls, filters: Sequence[Filter]) -> FilterSet:
        """Divide a list; an ops filter behind it always leaves unmatched memory to the ops."""
        core = tuple(f for f in filters if f.type in CORE_FILTERS)
        ops = tuple(f for f in filters if f.type not in CORE_FILTERS)
        return cls(core, ops, not ops and default_reject(core), default_reject(ops))


@dataclass(frozen=True, slots=True)
class CoreVerdict:
    """What the core filters say of one region.

    Attributes
    ----------
    out : bool
        Whether the region is filtered out.
    allowed : bool
        Whether a filter allowed it explicitly; then the ops filters are bypassed.
    cuts : tuple of int
        Addresses at which the region was split, highest first; the verdict is of the leftmost
        piece, the others are judged when their turn comes.
    """

    out: bool
    allowed: bool
    cuts: tuple[int, ...] = ()


_PASS = CoreVerdict(out=False, allowed=False)


def core_verdict(
    filters: FilterSet, start: int, end: int, target_index: int, min_region_sz: int
) -> CoreVerdict:
    """Judge one region, shrinking it where an address filter begins or ends inside."""
    if not filters.core:
        return _PASS
    cuts: list[int] = []
    for one in filters.core:
        if one.type == "target":
            condition = one.target_idx == target_index
        else:
            condition, cut = addr_condition(one, start, end, min_region_sz)
            if cut is not None:
                cuts.append(cut)
                end = cut
        if condition == one.matching:
            return CoreVerdict(out=not one.allow, allowed=one.allow, cuts=tuple(cuts))
    return CoreVerdict(out=filters.core_default_reject, allowed=False, cuts=tuple(cuts))


@dataclass(frozen=True, slots=True)
class CoreVerdicts:
    """What the core filters say of many regions.

    Attributes
    ----------
    out : bool[R]
        Which are filtered out; of no meaning where `divided`.
    divided : bool[R]
        Which may be split by an address filter, so that they need `core_verdict`.
    """

    out: np.ndarray
    divided: np.ndarray


def core_verdicts(
    filters: FilterSet, start: np.ndarray, end: np.ndarray, target_index: int, min_region_sz: int
) -> CoreVerdicts:
    """Judge regions ``[start, end)`` (int64[R]) of one target at once."""
    out = np.full(len(start), filters.core_default_reject)
    undecided = np.ones(len(start), dtype=bool)
    divided = np.zeros(len(start), dtype=bool)
    for one in filters.core:
        if one.type == "target":
            condition = np.full(len(start), one.target_idx == target_index)
        else:
            low, high = _addr_bounds(one, min_region_sz)
            condition = (low <= start) & (end <= high)
            divided |= ~condition & (start < high) & (low < end)
        decided = undecided & (condition == one.matching)
        out[decided] = not one.allow
        undecided &= ~decided
    return CoreVerdicts(out, divided)


def _addr_bounds(one: Filter, min_region_sz: int) -> tuple[int, int]:
    low, high = align_down(one.start, min_region_sz), align_down(one.end, min_region_sz)
    return min(low, INT64_MAX), min(high, INT64_MAX)


def addr_condition(
    one: Filter, start: int, end: int, min_region_sz: int
) -> tuple[bool, int | None]:
    """Whether the region (or what is left of it) is in the filter's range, and where it is cut."""
    low, high = _addr_bounds(one, min_region_sz)
    if low <= start and end <= high:
        return True, None
    if end <= low or high <= start:
        return False, None
    if start < low:
        return False, low
    return True, high


def ops_pass(
    filters: FilterSet,
    condition: Callable[[Filter, np.ndarray], np.ndarray],
    core_allowed: bool,
    nr_folios: int,
) -> np.ndarray:
    """Which folios pass the filters that an operations set handles.

    Parameters
    ----------
    filters : FilterSet
    condition : callable
        ``condition(filter, asked)`` tells bool[F] for which folios the filter's type holds. Only
        folios in `asked` (bool[F]) are looked at by that filter: the young filter consumes what it
        sees, so it must leave the others alone.
    core_allowed : bool
        Whether the core let the region through explicitly.
    nr_folios : int

    Returns
    -------
    bool[F]
    """
    passed = np.full(nr_folios, core_allowed or not filters.ops_default_reject)
    if core_allowed:
        return passed
    undecided = np.ones(nr_folios, dtype=bool)
    for one in filters.ops:
        decided = undecided & (condition(one, undecided) == one.matching)
        passed[decided] = one.allow
        undecided &= ~decided
    return passed
