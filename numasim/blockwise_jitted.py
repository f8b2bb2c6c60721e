"""`blockwise.Bounds` compiled by Numba, to the last bit; imported only where Numba is in use."""

from __future__ import annotations

import numpy as np
from numba import njit

from numasim.counts import GROUP_BLOCKS

_GROUP_SHIFT = GROUP_BLOCKS.bit_length() - 1
AT_ONCE = 256  # regions whose numbers stay in the fastest cache


@njit(cache=True, error_model="numpy")
def _count(
    slot: int,
    shift: int,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    near: np.ndarray,
    row: np.ndarray,
) -> None:
    """Pages of the used classes before a slot; see `counts.BlockCounts.before_slots`.

    `near` is zero before and after.
    """
    place = slot >> shift
    odd = place & 1
    block = (place + odd) >> 1
    first, last, sign = place << shift, slot, 1
    if odd:
        first, last, sign = slot, (place + 1) << shift, -1
    for s in range(first + 1, last, 2):  # two sums, which do not wait for each other
        near[0, of_slot[s - 1]] += sign
        near[1, of_slot[s]] += sign
    if (last - first) & 1:
        near[0, of_slot[last - 1]] += sign
    group, c, nr_used = block >> _GROUP_SHIFT, used[0], len(used)
    if used[-1] - c + 1 == nr_used:  # classes side by side, some at once
        inside, before = within[block, c : c + nr_used], groups[group, c : c + nr_used]
        one, other = near[0, c + 1 : c + 1 + nr_used], near[1, c + 1 : c + 1 + nr_used]
        for k in range(nr_used):
            row[k] = before[k] + (np.int32(inside[k]) + one[k] + other[k])
    else:
        for k in range(nr_used):
            c = used[k]
            row[k] = within[block, c] + groups[group, c] + near[0, c + 1] + near[1, c + 1]
    near[:] = 0


@njit(cache=True, error_model="numpy")
def follow(
    line: np.ndarray,
    page_shift: int,
    shift: int,
    known: np.ndarray,
    known_rows: np.ndarray,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
) -> int:
    """Fill `slots` (int64[R + 1]) and `rows` (float64[R + 1, K]) from those of another window.

    Slots have ``2**page_shift`` bytes, half blocks ``2**shift`` slots; others are as in
    `blockwise.Bounds`. Less than 0 if regions do not touch or others are their first and last
    bound.
    """
    nr, nr_known = line.shape[1], len(known)
    for r in range(nr):
        slots[r] = line[0, r] >> page_shift
    slots[nr] = line[1, nr - 1] >> page_shift
    if nr_known == 0 or slots[0] != known[0] or slots[nr] != known[nr_known - 1]:
        return -1
    for r in range(nr - 1):
        if line[1, r] != line[0, r + 1]:
            return -1
    at = np.empty(nr + 1, np.int64)
    place = touched = 0
    for i in range(nr + 1):
        slot = slots[i]
        while known[place] < slot:
            place += 1
        at[i] = place
        if known[place] != slot:
            at[i] = -1
            # far apart in memory: all are on their way before the first one is needed
            block = ((slot >> shift) + 1) >> 1
            touched += of_slot[slot] + of_slot[(slot + (block << (shift + 1))) >> 1]
            touched += within[block, used[0]] + within[block, used[-1]]
    near = np.zeros((2, within.shape[1] + 1), np.int32)
    for i in range(nr + 1):
        if at[i] < 0:
            _count(slots[i], shift, used, within, groups, of_slot, near, rows[i])
        else:
            row, known_row = rows[i], known_rows[at[i]]
            for k in range(len(row)):
                row[k] = known_row[k]
    return touched


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _weight(more: np.ndarray, less: np.ndarray, weights: np.ndarray) -> float:
    """Weighted sum of differences; it never rounds, so any order will do (`exact_parts`)."""
    total = 0.0
    for k in range(len(weights)):
        total += (more[k] - less[k]) * weights[k]
    return total


@njit(cache=True, error_model="numpy")
def chances(
    line: np.ndarray,
    size: np.ndarray,
    slot_bytes: int,
    slots: np.ndarray,
    rows: np.ndarray,
    used: np.ndarray,
    parts: np.ndarray,
    probability: np.ndarray,
    of_slot: np.ndarray,
) -> np.ndarray:
    """See `blockwise.Bounds.chances`; regions touch, and `slots` and `rows` are of their bounds."""
    groups, nr, nr_used = len(probability), len(size), len(used)
    weights = np.empty((2 * groups, nr_used))
    for g in range(2 * groups):
        for k in range(nr_used):
            weights[g, k] = parts[used[k], g]
    chance = np.empty((groups, nr))
    for r in range(nr):
        scale = slot_bytes / size[r]
        below = line[0, r] - slots[r] * slot_bytes
        above = line[1, r] - slots[r + 1] * slot_bytes
        for g in range(groups):
            high = _weight(rows[r + 1], rows[r], weights[g])
            warm = high + _weight(rows[r + 1], rows[r], weights[groups + g])
            if below or above:
                part = less = 0.0
                if above and of_slot[slots[r + 1]]:
                    part = probability[g, of_slot[slots[r + 1]] - 1] * (above / slot_bytes)
                if below and of_slot[slots[r]]:
                    less = probability[g, of_slot[slots[r]] - 1] * (below / slot_bytes)
                warm += part - less
            chance[g, r] = min(max(warm * scale, 0.0), 1.0)
    return chance


@njit(cache=True, error_model="numpy")
def inverted(
    nr: int, chance: np.ndarray, uniform: np.ndarray, doubt: float, found: np.ndarray
) -> bool:
    """Fill `found` (int64[R]); see `blockwise.successes`. False where rounding could decide.

    Steps of the distribution function are taken for many regions side by side: that needs no
    branches, so the processor takes some at once.
    """
    n, used, sure = len(chance), 0, True
    u, exactly, ratio = np.empty(AT_ONCE), np.empty(AT_ONCE), np.empty(AT_ONCE)
    at_most, counted, nearest = np.empty(AT_ONCE), np.empty(AT_ONCE), np.empty(AT_ONCE)
    most = np.empty(AT_ONCE)
    for first in range(0, n, AT_ONCE):
        width = min(AT_ONCE, n - first)
        for i in range(width):
            p = chance[first + i]
            rare = 1.0 - p if p > 0.5 else p
            other = 1.0 - rare
            none, power, left = 1.0, other, nr
            while left:
                if left & 1:
                    none *= power
                power *= power
                left >>= 1
            exactly[i], at_most[i], ratio[i] = none, none, rare / other
            u[i] = -1.0
            if p > 0.0:
                u[i] = uniform[used]
                used += 1
            counted[i] = 1.0 if u[i] > none else 0.0
            nearest[i] = abs(u[i] - none)
            mean = nr * rare
            most[i] = mean + 10.0 * np.sqrt(mean * other + 1.0) - 1.0
        for k in range(1, nr):
            times = (nr - k + 1) / k
            for i in range(width):
                more = exactly[i] * ratio[i] * times
                exactly[i] = more
                at_most[i] += more
                counted[i] += 1.0 if u[i] > at_most[i] else 0.0
                nearest[i] = min(nearest[i], abs(u[i] - at_most[i]))
        for i in range(width):
            # beyond ten deviations the generator draws anew
            sure &= nearest[i] > doubt and (counted[i] <= most[i] or most[i] >= nr)
            each = np.int64(counted[i])
            found[first + i] = nr - each if chance[first + i] > 0.5 else each
    return sure
