"""`blockwise.Bounds` compiled by Numba, to the last bit; imported only where Numba is in use."""

from __future__ import annotations

import numpy as np
from numba import njit

from numasim.counts import GROUP_BLOCKS

_GROUP_SHIFT = GROUP_BLOCKS.bit_length() - 1
TALLIES = 4  # sums that do not wait for each other
WIDTH_STEP = 16  # rows are as wide as a whole number of these: what the processor adds at once


@njit(cache=True, error_model="numpy")
def _tally(first: int, last: int, bits: int, words: np.ndarray, near: np.ndarray) -> None:
    """Add up kinds of slots ``[first, last)``, at most 255, in `near`: uint8[TALLIES * stride].

    `words` are the kinds of `counts.BlockCounts.tables`, of so many bits, eight bytes in each; what
    is cut off at either end counts as slots without a page.
    """
    if last <= first:
        return
    whole, each, stride = np.uint64(0xFFFFFFFFFFFFFFFF), 64 // bits, len(near) // TALLIES
    mask = whole >> np.uint64(64 - bits)
    ones = whole // mask
    begin, end = first // each, (last - 1) // each
    for w in range(begin, end + 1):
        word = words[w]
        if w == begin:
            word &= whole << np.uint64(bits * (first - begin * each))
        if w == end:
            word &= whole >> np.uint64(bits * ((end + 1) * each - last))
        kind = word & mask
        if word == kind * ones:  # neighbours are often alike
            near[kind] += each
        else:
            for j in range(each):
                near[np.uint64((j & (TALLIES - 1)) * stride) + (word & mask)] += 1
                word >>= np.uint64(bits)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _weigh(rows: np.ndarray, weights: np.ndarray, high: np.ndarray, low: np.ndarray) -> None:
    """Fill `high` and `low` (float64[N]) with sums of rows by both weights (float64[2, W]).

    They never round, so any order will do (`counts.exact_parts`).
    """
    for i in range(len(high)):
        of_high = of_low = 0.0
        for k in range(weights.shape[1]):
            of_high += rows[i, k] * weights[0, k]
            of_low += rows[i, k] * weights[1, k]
        high[i], low[i] = of_high, of_low


@njit(cache=True, error_model="numpy")
def _count(
    slot: int,
    shift: int,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    bits: int,
    words: np.ndarray,
    near: np.ndarray,
    rows: np.ndarray,
    i: int,
) -> None:
    """Row `i`: pages of the used classes before a slot; see `counts.BlockCounts.before_slots`.

    `near` is zero before and after.
    """
    place = slot >> shift
    odd = place & 1
    block = (place + odd) >> 1
    if odd:
        _tally(slot, (place + 1) << shift, bits, words, near)
    else:
        _tally(place << shift, slot, bits, words, near)
    sign, group, c, nr_used = np.int32(1 - 2 * odd), block >> _GROUP_SHIFT, used[0], len(used)
    one = len(near) // TALLIES
    if used[-1] - c + 1 == nr_used:  # classes side by side, some at once
        first, second = near[c + 1 : c + 1 + nr_used], near[one + c + 1 : one + c + 1 + nr_used]
        third = near[2 * one + c + 1 : 2 * one + c + 1 + nr_used]
        fourth = near[3 * one + c + 1 : 3 * one + c + 1 + nr_used]
        for k in range(nr_used):
            close = np.int32(first[k]) + np.int32(second[k]) + np.int32(third[k])
            close += np.int32(fourth[k])
            before = groups[group, c + k] + np.int32(within[block, c + k])
            rows[i, k] = before + sign * close
    else:
        for k in range(nr_used):
            c, close = used[k], np.int32(0)
            for j in range(TALLIES):
                close += np.int32(near[j * one + c + 1])
            rows[i, k] = groups[group, c] + np.int32(within[block, c]) + sign * close
    for k in range(len(near)):
        near[k] = 0


@njit(cache=True, error_model="numpy")
def _follow(
    start: np.ndarray,
    end: np.ndarray,
    move: int,
    page_shift: int,
    shift: int,
    known: np.ndarray,
    known_rows: np.ndarray,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    words: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
) -> int:
    """Fill `slots` (int64[R + 1]) and `rows` (int32[R + 1, W]) from those of another window.

    Less than 0 if regions do not touch or others are their first and last bound.
    """
    nr, nr_known = len(start), len(known)
    for r in range(nr):
        slots[r] = (start[r] + move) >> page_shift
    slots[nr] = (end[nr - 1] + move) >> page_shift
    if nr_known == 0 or slots[0] != known[0] or slots[nr] != known[nr_known - 1]:
        return -1
    apart = 0
    for r in range(nr - 1):
        apart |= end[r] ^ start[r + 1]
    if apart:
        return -1
    new, width = np.empty(nr + 1, np.int64), rows.shape[1]
    place = touched = nr_new = 0
    for i in range(nr + 1):
        slot = slots[i]
        while known[place] < slot:
            place += 1
        if known[place] == slot:
            for k in range(width):
                rows[i, k] = known_rows[place, k]
        else:
            new[nr_new] = i
            nr_new += 1
    for n in range(nr_new):  # far apart in memory: all are on their way before one is needed
        slot = slots[new[n]]
        half = (slot >> shift) << shift
        block = ((slot >> shift) + 1) >> 1
        touched += of_slot[half] + of_slot[half + (1 << shift) - 1]
        touched += within[block, used[0]] + within[block, used[-1]]
        group = block >> _GROUP_SHIFT
        touched += groups[group, used[0]] + groups[group, used[-1]]
    near = np.zeros(TALLIES * (within.shape[1] + 1), np.uint8)
    for n in range(nr_new):
        i = new[n]
        for k in range(len(used), width):
            rows[i, k] = 0
        _count(slots[i], shift, used, within, groups, 8 * of_slot.itemsize, words, near, rows, i)
    return touched


@njit(cache=True, error_model="numpy")
def chances(
    start: np.ndarray,
    end: np.ndarray,
    move: int,
    size: np.ndarray,
    page_shift: int,
    shift: int,
    known: np.ndarray,
    known_rows: np.ndarray,
    used: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    of_slot: np.ndarray,
    words: np.ndarray,
    parts: np.ndarray,
    probability: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
    chance: np.ndarray,
) -> int:
    """Chances of regions, from what is known of the bounds of another window.

    Parameters
    ----------
    start, end : int64[R]
        Regions; with `move` added, bytes on the line of slots.
    move : int
    size : int64[R]
        Bytes, holes included.
    page_shift, shift : int
        Slots have ``2**page_shift`` bytes, half blocks ``2**shift`` slots.
    known, known_rows, used : int64[N], int32[N, W], int64[K]
        As `blockwise.Bounds.slots`, `rows` and `used`; W is a multiple of `WIDTH_STEP`.
    within, groups, of_slot : uint16[B, C], int32[B / GROUP_BLOCKS + 1, C], uint[S]
        See `counts.BlockCounts.whole_tables`.
    words : uint64
        `of_slot` again.
    parts, probability : float64[C, 2G], float64[G, C]
        Of `law.Ticks`.
    slots, rows, chance : int64[R + 1], int32[R + 1, W], float64[G, R]
        Filled: those of these bounds, and the chances.

    Returns
    -------
    int
        How many chances of the last group are not 0; less than 0 if nothing could be done, because
        regions do not touch or others are the first and last bound known.
    """
    if _follow(
        start, end, move, page_shift, shift, known, known_rows, used, within, groups, of_slot,
        words, slots, rows,
    ) < 0:  # fmt: skip
        return -1
    nr_groups, nr, slot_bytes, some = len(probability), len(start), 1 << page_shift, 0
    weights = np.zeros((nr_groups, 2, rows.shape[1]))
    for k in range(len(used)):
        for g in range(nr_groups):
            weights[g, 0, k], weights[g, 1, k] = parts[used[k], g], parts[used[k], nr_groups + g]
    inside = 0
    for r in range(nr):
        inside |= (start[r] + move) | (end[r] + move)
    high, low = np.empty(nr + 1), np.empty(nr + 1)
    for g in range(nr_groups):
        _weigh(rows, weights[g], high, low)
        for r in range(nr):
            chance[g, r] = (high[r + 1] - high[r]) + (low[r + 1] - low[r])
        if inside & (slot_bytes - 1):  # a bound within a page
            _add_parts(start, end, move, slots, probability[g], of_slot, slot_bytes, chance[g])
        some = 0
        for r in range(nr):
            p = min(max(chance[g, r] * (slot_bytes / size[r]), 0.0), 1.0)
            chance[g, r] = p
            some += p != 0.0
    return some


@njit(cache=True, error_model="numpy")
def _add_parts(
    start: np.ndarray,
    end: np.ndarray,
    move: int,
    slots: np.ndarray,
    probability: np.ndarray,
    of_slot: np.ndarray,
    slot_bytes: int,
    warm: np.ndarray,
) -> None:
    """Add the shares of pages that bounds cut; see `blockwise.Bounds._within`."""
    for r in range(len(start)):
        below = start[r] + move - slots[r] * slot_bytes
        above = end[r] + move - slots[r + 1] * slot_bytes
        part = less = 0.0
        if above and of_slot[slots[r + 1]]:
            part = probability[of_slot[slots[r + 1]] - 1] * (above / slot_bytes)
        if below and of_slot[slots[r]]:
            less = probability[of_slot[slots[r]] - 1] * (below / slot_bytes)
        warm[r] += part - less


@njit(cache=True, error_model="numpy")
def inverted(
    nr: int, chance: np.ndarray, uniform: np.ndarray, doubt: float, found: np.ndarray
) -> bool:
    """Fill `found` (int64[R]); see `blockwise.successes`. False where rounding could decide.

    The first step of the distribution function is taken for all regions side by side: that needs
    no branches, so the processor takes some at once. Few regions of a window need a second one.
    """
    n, used, nr_left, sure = len(chance), 0, 0, True
    none, power = np.ones(n), np.empty(n)
    left, of_left, times = np.empty(n, np.int64), np.empty(n), np.empty(nr)
    for i in range(n):
        power[i] = 1.0 - (1.0 - chance[i] if chance[i] > 0.5 else chance[i])
    bits = nr
    while bits:
        if bits & 1:
            for i in range(n):
                none[i] *= power[i]
        for i in range(n):
            power[i] *= power[i]
        bits >>= 1
    for i in range(n):
        p = chance[i]
        found[i] = nr if p > 0.5 else 0
        if p > 0.0:
            u = uniform[used]
            used += 1
            sure &= abs(u - none[i]) > doubt
            left[nr_left], of_left[nr_left] = i, u
            nr_left += u > none[i]
    for k in range(1, nr):
        times[k] = (nr - k + 1) / k
    for m in range(nr_left):
        i, u = left[m], of_left[m]
        p = chance[i]
        rare = 1.0 - p if p > 0.5 else p
        other = 1.0 - rare
        ratio, exactly = rare / other, none[i]
        at_most, counted = exactly, 1
        while counted < nr:
            exactly = exactly * ratio * times[counted]
            at_most += exactly
            sure &= abs(u - at_most) > doubt
            if u <= at_most:
                break
            counted += 1
        mean = nr * rare
        most = mean + 10.0 * np.sqrt(mean * other + 1.0) - 1.0
        sure &= counted <= most or most >= nr  # beyond ten deviations the generator draws anew
        found[i] += -counted if p > 0.5 else counted
    return sure
