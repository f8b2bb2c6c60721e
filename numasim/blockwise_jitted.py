"""`blockwise.Bounds` compiled by Numba, to the last bit; imported only where Numba is in use."""

from __future__ import annotations

import numpy as np
from numba import njit

from numasim.counts import GROUP_BLOCKS

_GROUP_SHIFT = GROUP_BLOCKS.bit_length() - 1


@njit(cache=True, error_model="numpy")
def _count(
    slot: int,
    half: int,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    near: np.ndarray,
    row: np.ndarray,
) -> None:
    """Pages of the used classes before a slot; see `counts.BlockCounts.before_slots`."""
    place = slot // half
    odd = place & 1
    block = (place + odd) >> 1
    first, last, sign = place * half, slot, 1.0
    if odd:
        first, last, sign = slot, (place + 1) * half, -1.0
    for s in range(first, last):
        near[of_slot[s]] += sign
    for k in range(len(used)):
        c = used[k]
        row[k] = within[block, c] + groups[block >> _GROUP_SHIFT, c] + near[c + 1]
    for s in range(first, last):
        near[of_slot[s]] = 0.0


@njit(cache=True, error_model="numpy")
def follow(
    line: np.ndarray,
    slot_bytes: int,
    half: int,
    known: np.ndarray,
    known_rows: np.ndarray,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
) -> bool:
    """Fill `slots` (int64[R + 1]) and `rows` (float64[R + 1, K]) from those of another window.

    Parameters as of `blockwise.Bounds`. False if regions do not touch or others are their first
    and last bound.
    """
    nr = line.shape[1]
    if len(known) == 0 or line[0, 0] // slot_bytes != known[0]:
        return False
    if line[1, nr - 1] // slot_bytes != known[len(known) - 1]:
        return False
    for r in range(nr - 1):
        if line[1, r] != line[0, r + 1]:
            return False
    near = np.zeros(within.shape[1] + 1)
    at = 0
    for i in range(nr + 1):
        slot = (line[0, i] if i < nr else line[1, nr - 1]) // slot_bytes
        slots[i] = slot
        while known[at] < slot:
            at += 1
        if known[at] == slot:
            for k in range(len(used)):
                rows[i, k] = known_rows[at, k]
        else:
            _count(slot, half, used, within, groups, of_slot, near, rows[i])
    return True


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
            chance[g, r] = min(warm * scale, 1.0)
    return chance
