"""Regions of one target as a struct of arrays, and what an aggregation does to them.

Kernels change their `Regions` in place, are integer only, and equal the kernel's list walk to the
last bit. Source: DAMON core specification, sections 4 to 6 (Linux 7.3.4).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from numasim.damon.arith import INT64_MAX, U32, U64, align_up, mult_frac

COLUMNS = ("start", "end", "nr_accesses", "last_nr_accesses", "age", "sampling_addr")
_MAX_SCALED = 10_000  # basis points


class Regions:
    """The regions of one target, in address order.

    Attributes
    ----------
    start, end : int64[R]
        Bounds in core address units, half open.
    nr_accesses, last_nr_accesses : int64[R]
        Positive samples in this window so far, and in the whole previous one.
    age : int64[R]
        Aggregation intervals for which the access pattern has lasted.
    sampling_addr : int64[R]
        Address chosen at the last preparation, where the access source tells it.
    """

    __slots__ = COLUMNS

    start: np.ndarray
    end: np.ndarray
    nr_accesses: np.ndarray
    last_nr_accesses: np.ndarray
    age: np.ndarray
    sampling_addr: np.ndarray

    def __init__(self, rows: Iterable[Sequence[int]] = ()) -> None:
        """Regions from rows of ``(start, end[, nr_accesses[, last_nr_accesses[, age]]])``."""
        self.assign(rows)

    def assign(self, rows: Iterable[Sequence[int]]) -> None:
        """Replace all regions by those rows; what a row leaves out is 0."""
        table = [tuple(row) + (0,) * (len(COLUMNS) - len(row)) for row in rows]
        array = np.array(table, dtype=np.int64).reshape(len(table), len(COLUMNS))
        for i, name in enumerate(COLUMNS):
            setattr(self, name, np.ascontiguousarray(array[:, i]))

    def __len__(self) -> int:
        return len(self.start)

    @property
    def size(self) -> np.ndarray:
        """int64[R], core address units."""
        size: np.ndarray = self.end - self.start
        return size

    def rows(self) -> list[tuple[int, int, int, int, int]]:
        """One tuple ``(start, end, nr_accesses, last_nr_accesses, age)`` for each region."""
        return list(zip(*(getattr(self, name).tolist() for name in COLUMNS[:5]), strict=True))

    def copy(self) -> Regions:
        """An independent copy."""
        other = Regions()
        for name in COLUMNS:
            setattr(other, name, getattr(self, name).copy())
        return other

    def take(self, index: np.ndarray) -> None:
        """Keep, drop or repeat regions: every column becomes ``column[index]``."""
        for name in COLUMNS:
            setattr(self, name, getattr(self, name)[index])

    def check(self) -> None:
        """Raise unless regions are sorted, disjoint and not empty, and counters in bounds.

        Raises
        ------
        ValueError
            Naming the first offending region.
        """
        wrong = np.flatnonzero(self.end <= self.start)
        if len(wrong):
            raise ValueError(f"region {wrong[0]} is empty")
        wrong = np.flatnonzero(self.start[1:] < self.end[:-1])
        if len(wrong):
            raise ValueError(f"region {wrong[0] + 1} begins before its predecessor ends")
        for name in ("nr_accesses", "last_nr_accesses", "age"):
            column = getattr(self, name)
            wrong = np.flatnonzero((column < 0) | (column > U32))
            if len(wrong):
                raise ValueError(f"{name} of region {wrong[0]} is out of bounds")


def split_at(regions: Regions, index: int, sz_left: int) -> None:
    """Cut one region in two; the right piece copies every counter (section 4.4)."""
    insert_cuts(
        regions,
        np.array([index], dtype=np.int64),
        np.array([int(regions.start[index]) + sz_left], dtype=np.int64),
    )


def insert_cuts(regions: Regions, index: np.ndarray, addr: np.ndarray) -> None:
    """Cut regions at the given addresses.

    Parameters
    ----------
    regions : Regions
    index : int64[C]
        Region of each cut, ascending; repeated where a region is cut more than once.
    addr : int64[C]
        Addresses strictly inside their regions, ascending.
    """
    if not len(index):
        return
    pieces = np.bincount(index, minlength=len(regions)) + 1
    first = np.zeros(len(regions) + len(index), dtype=bool)
    first[np.cumsum(pieces) - pieces] = True
    regions.take(np.repeat(np.arange(len(regions)), pieces))
    last = np.append(first[1:], True)
    regions.start[~first] = addr
    regions.end[~last] = addr


def merge_pass(regions: Regions, threshold: int, sz_limit: int, count_age: bool) -> None:
    """One walk that ages regions and merges similar neighbours (section 6.1).

    Parameters
    ----------
    regions : Regions
        Of one target; changed in place.
    threshold : int
        Largest difference in ``nr_accesses`` (samples) that is still similar.
    sz_limit : int
        Largest size of a merged region, core address units.
    count_age : bool
        Whether ages are updated (the first walk of an aggregation).
    """
    if count_age:
        _update_ages(regions, threshold)
    _merge_similar(regions, threshold, sz_limit)


def _update_ages(regions: Regions, threshold: int) -> None:
    score, last = regions.nr_accesses, regions.last_nr_accesses
    changed = np.abs(score - last) > threshold
    changed |= (score == 0) != (last == 0)
    regions.age = np.where(changed, 0, (regions.age + 1) & U32)


def _merge_similar(regions: Regions, threshold: int, sz_limit: int) -> None:
    """The sequential walk, entered only where two neighbours as they are can merge.

    A merge changes nothing but the growing left region, so between chains of merges every region
    meets its neighbour unchanged and one comparison of arrays finds where chains begin.
    """
    start, end, nr, size = regions.start, regions.end, regions.nr_accesses, regions.size
    touching = end[:-1] == start[1:]
    begins = touching & (np.abs(nr[1:] - nr[:-1]) <= threshold)
    begins &= size[1:] + size[:-1] <= min(sz_limit, INT64_MAX)
    heads = np.flatnonzero(begins)
    if not len(heads):
        return
    count = len(start)
    gaps = np.append(np.flatnonzero(~touching) + 1, count)
    stops = gaps[np.searchsorted(gaps, heads, side="right")].tolist()
    sizes, nrs, ages = size.tolist(), nr.tolist(), regions.age.tolist()
    grown: list[int] = []  # heads of chains
    ends: list[int] = []  # and last regions of them
    places = heads.tolist()
    i = 0
    while i < len(places):
        head = last = places[i]
        sz_left, nr_left, age_left = sizes[head], nrs[head], ages[head]
        for j in range(head + 1, stops[i]):
            nr_right, sz_right = nrs[j], sizes[j]
            total = sz_left + sz_right
            if not -threshold <= nr_right - nr_left <= threshold or total > sz_limit:
                break
            if nr_right or nr_left:
                nr_left = ((nr_left * sz_left + nr_right * sz_right) & U64) // total
            age_left = ((age_left * sz_left + ages[j] * sz_right) & U64) // total
            sz_left, last = total, j
        nrs[head], ages[head] = nr_left, age_left
        grown.append(head)
        ends.append(last)
        i = bisect_left(places, last + 1, i + 1)  # past what this chain swallowed
    at, last_at = np.array(grown), np.array(ends)
    swallowed = np.zeros(count + 1, dtype=np.int64)
    swallowed[at + 1] += 1
    swallowed[last_at + 1] -= 1
    regions.end[at] = end[last_at]
    regions.nr_accesses, regions.age = np.array(nrs, np.int64), np.array(ages, np.int64)
    regions.take(np.flatnonzero(np.cumsum(swallowed[:-1]) == 0))


def merge_regions(
    targets: Sequence[Regions], threshold: int, sz_limit: int, max_thres: int, max_nr_regions: int
) -> None:
    """Merge with a growing threshold until the regions are few enough (section 6.1).

    Parameters
    ----------
    targets : sequence of Regions
    threshold : int
        First threshold, samples: a tenth of the largest ``nr_accesses``.
    sz_limit : int
        Core address units.
    max_thres : int
        Samples of one aggregation interval; the threshold does not grow beyond it.
    max_nr_regions : int
    """
    count_age = True
    while True:
        for regions in targets:
            merge_pass(regions, threshold, sz_limit, count_age)
        count_age = False
        if nr_regions(targets) <= max_nr_regions or threshold >= max_thres:
            return
        threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres


def merge_back(regions: Regions, limit: int) -> None:
    """Join touching neighbours with equal counters, up to a size (section 9.2, step b)."""
    equal = regions.end[:-1] == regions.start[1:]
    for column in (regions.age, regions.last_nr_accesses, regions.nr_accesses):
        equal &= column[:-1] == column[1:]
    small = regions.end[1:] - regions.start[:-1] <= min(limit, INT64_MAX)
    heads = np.flatnonzero(equal & small)
    if not len(heads):
        return
    keep = np.ones(len(regions), dtype=bool)
    breaks = np.append(np.flatnonzero(~equal) + 1, len(regions))
    stops = breaks[np.searchsorted(breaks, heads, side="right")].tolist()
    starts, ends, places = regions.start.tolist(), regions.end.tolist(), heads.tolist()
    i = 0
    while i < len(places):
        head = places[i]
        following = bisect_right(ends, starts[head] + limit, head + 1, stops[i])
        keep[head + 1 : following] = False
        ends[head] = ends[following - 1]
        i = bisect_left(places, following, i + 1)  # past what this chain swallowed
    regions.end = np.array(ends, dtype=np.int64)
    regions.take(np.flatnonzero(keep))


def nr_regions(targets: Iterable[Regions]) -> int:
    """Number of regions over all targets."""
    return sum(len(regions) for regions in targets)


def raw_size_limit(targets: Iterable[Regions], min_nr_regions: int, min_region_sz: int) -> int:
    """Largest size a region may grow to, before alignment (section 4.2). Core address units."""
    total = sum(int(regions.end.sum()) - int(regions.start.sum()) for regions in targets)
    return max(total // max(min_nr_regions, 1), min_region_sz)


def apply_min_nr_regions(
    targets: Sequence[Regions], min_nr_regions: int, min_region_sz: int
) -> int:
    """Cut every region larger than the limit evenly from the left (section 4.3).

    Returns
    -------
    int
        The aligned limit, which is the merge limit until the next aggregation.
    """
    limit = align_up(raw_size_limit(targets, min_nr_regions, min_region_sz), min_region_sz)
    for regions in targets:
        pieces = -(-regions.size // min(limit, INT64_MAX))
        if len(regions) and int(pieces.max()) > 1:
            index = np.repeat(np.arange(len(regions)), pieces - 1)
            within = np.arange(len(index)) - np.repeat(
                np.cumsum(pieces - 1) - (pieces - 1), pieces - 1
            )
            insert_cuts(regions, index, regions.start[index] + (within + 1) * limit)
    return limit


def reset_aggregated(targets: Iterable[Regions]) -> None:
    """Close the window: counters become those of the last window (section 5.2)."""
    for regions in targets:
        regions.last_nr_accesses = regions.nr_accesses
        regions.nr_accesses = np.zeros_like(regions.nr_accesses)


def left_window_bp(left_sis: int, sample_us: int, aggr_us: int) -> int:
    """Remaining part of the aggregation window, basis points (section 5.3)."""
    window = max((aggr_us or 1) // (sample_us or 1), 1)
    return mult_frac(left_sis, _MAX_SCALED, window)


def mvsum(nr_accesses: np.ndarray, last_nr_accesses: np.ndarray, left_bp: int) -> np.ndarray:
    """Pseudo moving sum: this window's count and the share of the last one still to come.

    Parameters
    ----------
    nr_accesses, last_nr_accesses : int64[R], samples
    left_bp : int
        From `left_window_bp`.

    Returns
    -------
    int64[R]

    Notes
    -----
    Source: DAMON core specification, section 5.3 (Linux 7.3.4).
    """
    if left_bp == _MAX_SCALED:
        return last_nr_accesses.copy()
    whole, part = np.divmod(last_nr_accesses, _MAX_SCALED)
    result: np.ndarray = nr_accesses + whole * left_bp + part * left_bp // _MAX_SCALED
    return result
