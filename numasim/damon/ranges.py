"""Making the regions of a target follow a list of address ranges.

Source: DAMON core specification, section 4.1 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.damon.arith import align_down, align_up
from numasim.damon.regions import Regions

Range = tuple[int, int]
Row = tuple[int, int, int, int, int]


def coalesce(ranges: Sequence[Range]) -> list[Range]:
    """Ranges with touching neighbours joined; order is kept."""
    joined: list[Range] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def set_regions(regions: Regions, ranges: Sequence[Range], min_region_sz: int) -> None:
    """Make the regions cover exactly these ranges, keeping counters where a region survives.

    Parameters
    ----------
    regions : Regions
        Of one target; changed in place, or not at all when an error is raised.
    ranges : sequence of (int, int)
        Sorted, disjoint; core address units.
    min_region_sz : int
        Alignment of the new bounds.

    Raises
    ------
    ValueError
        Where an aligned range is empty, or begins before its predecessor ends.

    Notes
    -----
    A region that reaches into two ranges survives in the first of them only.
    """
    aligned = _aligned(ranges, min_region_sz)
    regions.take(_intersecting(regions, ranges))
    rows = regions.rows()
    covered: list[Row] = []
    cursor = 0
    for (start, end), (low, high) in zip(ranges, aligned, strict=True):
        stop = cursor + int(np.searchsorted(regions.start[cursor:], end, side="left"))
        first = cursor + int(np.searchsorted(regions.end[cursor:], start, side="right"))
        covered += _fitted(rows[first:stop], low, high)
        cursor = stop
    regions.assign(covered)


def _aligned(ranges: Sequence[Range], min_region_sz: int) -> list[Range]:
    aligned: list[Range] = []
    for start, end in ranges:
        low, high = align_down(start, min_region_sz), align_up(end, min_region_sz)
        if low >= high:
            raise ValueError(f"range {start}-{end} is empty")
        if aligned and low < aligned[-1][1]:
            raise ValueError(f"range {start}-{end} begins before its predecessor ends")
        aligned.append((low, high))
    return aligned


def _intersecting(regions: Regions, ranges: Sequence[Range]) -> np.ndarray:
    """Indices of regions that share at least one address with a range (as given, not aligned)."""
    if not ranges or not len(regions):
        return np.empty(0, dtype=np.int64)
    starts, ends = np.array(ranges, dtype=np.int64).T
    at = np.searchsorted(ends, regions.start, side="right")  # first range that ends after it begins
    known = at < len(ends)
    return np.flatnonzero(known & (starts[np.where(known, at, 0)] < regions.end))


def _fitted(rows: list[Row], low: int, high: int) -> list[Row]:
    """Surviving regions stretched or shrunk to ``[low, high)``, holes filled with fresh ones."""
    if not rows:
        return [(low, high, 0, 0, 0)]
    rows[0] = (low, *rows[0][1:])
    rows[-1] = (rows[-1][0], high, *rows[-1][2:])
    fitted = [rows[0]]
    for row in rows[1:]:
        hole = fitted[-1][1]
        if hole != row[0]:
            fitted.append((hole, row[0], 0, 0, 0))
        fitted.append(row)
    return fitted
