"""Region kernels compiled by Numba; each equals its numpy form to the last bit.

Only `numasim.damon.compiled` imports this, and only where Numba is installed. Kernels read the five
columns of a `Regions` and write to `out`, int64[5, N], whose rows are those columns; they return
how many regions they wrote. Source: DAMON core specification, sections 4 to 6 and 9.2 (Linux
7.3.4).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_U32 = 2**32 - 1


@njit(cache=True, error_model="numpy")
def _mean(left: int, sz_left: int, right: int, sz_right: int) -> np.int64:
    """Weighted mean in 64-bit unsigned integers."""
    weighted = np.uint64(left) * np.uint64(sz_left) + np.uint64(right) * np.uint64(sz_right)
    return np.int64(weighted // np.uint64(sz_left + sz_right))


@njit(cache=True, error_model="numpy")
def merge(
    start: np.ndarray,
    end: np.ndarray,
    nr_accesses: np.ndarray,
    last_nr_accesses: np.ndarray,
    age: np.ndarray,
    threshold: int,
    limit: int,
    count_age: bool,
    out: np.ndarray,
) -> int:
    """One walk that ages regions and merges similar neighbours; see `merging.merge_pass`."""
    n = -1
    for i in range(len(start)):
        nr, now = nr_accesses[i], age[i]
        if count_age:
            last = last_nr_accesses[i]
            same = abs(nr - last) <= threshold and (nr == 0) == (last == 0)
            now = (now + 1) & _U32 if same else 0
        size = end[i] - start[i]
        if n >= 0 and out[1, n] == start[i] and abs(nr - out[2, n]) <= threshold:
            sz_left = start[i] - out[0, n]
            if sz_left + size <= limit:
                if nr != 0 or out[2, n] != 0:
                    out[2, n] = _mean(out[2, n], sz_left, nr, size)
                if now != 0 or out[4, n] != 0:
                    out[4, n] = _mean(out[4, n], sz_left, now, size)
                out[1, n] = end[i]
                continue
        n += 1
        out[0, n], out[1, n], out[2, n] = start[i], end[i], nr
        out[3, n], out[4, n] = last_nr_accesses[i], now
    return n + 1


@njit(cache=True, error_model="numpy")
def merge_back(
    start: np.ndarray,
    end: np.ndarray,
    nr_accesses: np.ndarray,
    last_nr_accesses: np.ndarray,
    age: np.ndarray,
    limit: int,
    out: np.ndarray,
) -> int:
    """Join touching neighbours with equal counters; see `merging.merge_back`."""
    n = -1
    for i in range(len(start)):
        if (
            n >= 0
            and out[1, n] == start[i]
            and out[4, n] == age[i]
            and out[3, n] == last_nr_accesses[i]
            and out[2, n] == nr_accesses[i]
            and end[i] - out[0, n] <= limit
        ):
            out[1, n] = end[i]
            continue
        n += 1
        out[0, n], out[1, n], out[2, n] = start[i], end[i], nr_accesses[i]
        out[3, n], out[4, n] = last_nr_accesses[i], age[i]
    return n + 1


@njit(cache=True, error_model="numpy")
def split(
    start: np.ndarray,
    end: np.ndarray,
    nr_accesses: np.ndarray,
    last_nr_accesses: np.ndarray,
    age: np.ndarray,
    first: int,
    step: int,
    tries: int,
    least: int,
    unit: int,
    draws: np.ndarray,
    out: np.ndarray,
) -> tuple[int, int]:
    """Cut every `step`-th region from `first` on at random places; see `splitting`.

    Each region makes up to `tries` tries, as long as its left piece is at least `least` large.
    Returns the number of regions written and of draws used.
    """
    n = used = 0
    chosen = first
    for i in range(len(start)):
        right = end[i]
        cuts = 0
        if i == chosen:
            chosen += step
            size = right - start[i]
            for _ in range(tries):
                if size < least:
                    break
                sub = (draws[used] * size // 10) & -unit
                used += 1
                if 0 < sub < size:  # pieces are found from the right, and turned round below
                    out[1, n + cuts] = sub
                    cuts += 1
                    size = sub
        for k in range((cuts + 1) // 2):
            other = n + cuts - 1 - k
            out[1, n + k], out[1, other] = out[1, other], out[1, n + k]
        left = start[i]
        for k in range(cuts + 1):
            out[0, n] = left
            left = start[i] + out[1, n] if k < cuts else right
            out[1, n], out[2, n] = left, nr_accesses[i]
            out[3, n], out[4, n] = last_nr_accesses[i], age[i]
            n += 1
    return n, used


@njit(cache=True, error_model="numpy")
def turn(
    start: np.ndarray,
    end: np.ndarray,
    nr_accesses: np.ndarray,
    last_nr_accesses: np.ndarray,
    age: np.ndarray,
    max_thres: int,
    limit: int,
    min_nr_regions: int,
    max_nr_regions: int,
    unit: int,
    last_nr_regions: int,
    rotation: int,
    draws: np.ndarray,
    merged: np.ndarray,
    out: np.ndarray,
) -> tuple[int, int, int, int, int]:
    """Merge, cut to size, close the window and split; see `turnover.turn_over`.

    Returns how many merged regions are in `merged` and split ones in `out` (int64[5, N] each), the
    new limit of sizes, draws used, and whether the offset of splits moves on. Where there is too
    little room for them, 0 regions: none of what was given has changed then.
    """
    threshold = nr_accesses.max() // 10
    n = merge(start, end, nr_accesses, last_nr_accesses, age, threshold, limit, True, merged)
    while n > max_nr_regions and threshold < max_thres:
        threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres
        m = merged[:, :n]  # what is written lies left of what is read
        n = merge(m[0], m[1], m[2], m[3], m[4], threshold, limit, False, merged)
    total = 0
    for i in range(n):
        total += merged[1, i] - merged[0, i]
    limit = (max(total // max(min_nr_regions, 1), unit) + unit - 1) & -unit
    more = 0
    for i in range(n):
        size = merged[1, i] - merged[0, i]
        if size > limit:  # few are, and a division takes longer than the rest of the loop
            more += (size - 1) // limit
    count = n + more
    if count > merged.shape[1]:
        return 0, 0, 0, 0, 0
    if more:
        merged[:, :count] = _cut_evenly(merged[:, :n], limit, count)
    first, step, tries, least, rotates = 0, count + 1, 0, 0, 0
    if count < max_nr_regions:
        if count > max_nr_regions // 2:
            step = max_nr_regions // (max_nr_regions - count)
            first, tries, least, rotates = rotation % step, 1, 2 * unit, 1
        else:
            stuck = last_nr_regions == count and count < max_nr_regions // 3
            step, tries, least = 1, 2 if stuck else 1, 2 * unit + 1
    if (tries + 1) * count > out.shape[1]:
        return 0, 0, 0, 0, 0
    zero = np.zeros(count, np.int64)
    written, used = split(
        merged[0, :count], merged[1, :count], zero, merged[2, :count], merged[4, :count],
        first, step, tries, least, unit, draws, out,
    )  # fmt: skip
    return count, written, limit, used, rotates


@njit(cache=True, error_model="numpy")
def _cut_evenly(regions: np.ndarray, limit: int, count: int) -> np.ndarray:
    """int64[5, count]: regions without any larger than `limit`."""
    out, n = np.empty((5, count), np.int64), 0
    for i in range(regions.shape[1]):
        left, end = regions[0, i], regions[1, i]
        while left < end:
            out[:, n] = regions[:, i]
            out[0, n], out[1, n] = left, min(left + limit, end)
            left += limit
            n += 1
    return out
