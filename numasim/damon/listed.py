"""Few regions at the end of an aggregation: merged on plain lists, split as one table.

For some tens of regions a call on arrays costs more than what it computes. Every step equals that
of `merging`, `regions` and `splitting` to the last bit; what is not the common case is left to
them. Source: DAMON core specification, sections 4 and 6 (Linux 7.3.4).
"""

from __future__ import annotations

import numpy as np

from numasim.damon.arith import U32, U64

ALWAYS_CUT = 110
"""Size in smallest regions from which two cuts at a tenth or more leave pieces above two."""

Columns = list[list[int]]
"""Of regions in order: start, end, nr_accesses, last_nr_accesses, age."""


def fits(columns: Columns, most_nr: int) -> bool:
    """Whether no sum or product of `merged` leaves 32 or 64 bits, so that none is cut off.

    Parameters
    ----------
    columns : Columns
    most_nr : int
        The largest ``nr_accesses``.
    """
    most = max(most_nr, max(columns[4]) + 1)
    return most <= U32 and most * (columns[1][-1] - columns[0][0]) <= U64


def merged(columns: Columns, threshold: int, limit: int, count_age: bool) -> Columns:
    """One walk that ages regions and joins similar neighbours (section 6.1).

    Parameters
    ----------
    columns : Columns
        Of at least one region; they must be as `fits` wants them.
    threshold : int
        Largest difference in ``nr_accesses`` that is still similar.
    limit : int
        Largest size of a merged region, core address units.
    count_age : bool
        Whether ages are updated.

    Notes
    -----
    The mean of `a` over a size and `b` over `size` more is ``a + (b - a) * size // total`` where
    nothing overflows: truncated as the kernel's.
    """
    kept: Columns = [[], [], [], [], []]
    add_start, add_end, add_nr, add_last, add_age = [column.append for column in kept]
    begin = stop = nr_left = age_left = -1  # no region begins there
    for start, end, nr, last, age in zip(*columns, strict=True):
        if count_age:
            same = nr == last or (nr and last and -threshold <= nr - last <= threshold)
            age = age + 1 if same else 0
        if (
            start == stop
            and (nr == nr_left or -threshold <= nr - nr_left <= threshold)
            and end - begin <= limit
        ):
            if nr != nr_left:
                nr_left += (nr - nr_left) * (end - start) // (end - begin)
            if age != age_left:
                age_left += (age - age_left) * (end - start) // (end - begin)
            stop = end
            continue
        if begin >= 0:
            add_end(stop)
            add_nr(nr_left)
            add_age(age_left)
        add_start(start)
        add_last(last)
        begin, stop, nr_left, age_left = start, end, nr, age
    add_end(stop)
    add_nr(nr_left)
    add_age(age_left)
    return kept


def split(merged: np.ndarray, draws: np.ndarray, unit: int) -> np.ndarray:
    """Close the window and cut every region at random, each as often (sections 5.2 and 6.2).

    Parameters
    ----------
    merged : int64[5, R]
        Columns as of `Columns`, none smaller than `ALWAYS_CUT` units.
    draws : int64[R, T]
        1 to 9, for one or two tries of each; the second cuts the left piece of the first.
    unit : int
        Smallest region, core address units.

    Returns
    -------
    int64[5, R * (T + 1)]
    """
    nr, tries = draws.shape
    table = np.empty((5, nr, tries + 1), np.int64)
    start, end = table[0], table[1]
    start[:, 0], end[:, tries] = merged[0], merged[1]
    size = merged[1] - merged[0]
    for k in range(tries):
        size = draws[:, k] * size
        size //= 10
        size &= -unit
        np.add(merged[0], size, out=start[:, tries - k])
    end[:, :tries] = start[:, 1:]
    table[2] = 0
    table[3:] = merged[2::2, :, None]
    return table.reshape(5, -1)
