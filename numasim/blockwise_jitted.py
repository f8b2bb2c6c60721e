"""Steps of `blockwise` compiled by Numba, to the last bit; imported only where Numba is in use."""

from __future__ import annotations

import numpy as np
from numba import njit

from numasim.traffic import GROUP_BLOCKS

_GROUP_SHIFT = GROUP_BLOCKS.bit_length() - 1


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _weight(more: np.ndarray, less: np.ndarray, weights: np.ndarray) -> float:
    """Weighted sum of differences; it never rounds, so any order will do (`exact_parts`)."""
    total = 0.0
    for c in range(len(weights)):
        total += np.float64(np.int64(more[c]) - np.int64(less[c])) * weights[c]
    return total


@njit(cache=True, error_model="numpy")
def _weigh(
    line: np.ndarray,
    size: np.ndarray,
    within: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
    shift: int,
    slot_bytes: int,
    whole: np.ndarray,
    blocks: np.ndarray,
    chance: np.ndarray,
) -> int:
    half, nr_outer, touched = len(weights) // 2, 0, 0.0
    for r in range(len(size)):
        low, high = line[0, r], line[1, r]
        first = (low + ((1 << shift) - 1)) >> shift
        last = max(high >> shift, first)
        blocks[0, r], blocks[1, r] = first, last
        inner = (last - first) << shift
        outer = high - low - inner
        whole[0, r] = (first << shift) - low if inner > 0 else outer
        whole[1, r], whole[2, r] = inner, outer
        if outer + outer > size[r]:
            nr_outer += 1
        # far apart in memory: all rows are on their way before the first one is needed
        touched += within[first, 0] + within[last, 0]
        for c in range(0, groups.shape[1], 8):
            touched += groups[last >> _GROUP_SHIFT, c]
    chance[0, 0] = touched
    for r in range(len(size)):
        first, last = blocks[0, r], blocks[1, r]
        before, after = first >> _GROUP_SHIFT, last >> _GROUP_SHIFT
        scale = slot_bytes / max(size[r] - whole[2, r], 1)
        for g in range(half):
            high_sum = _weight(within[last], within[first], weights[g])
            low_sum = _weight(within[last], within[first], weights[half + g])
            if before != after:
                high_sum += _weight(groups[after], groups[before], weights[g])
                low_sum += _weight(groups[after], groups[before], weights[half + g])
            chance[g, r] = min((high_sum + low_sum) * scale, 1.0)
    return nr_outer


def weigh(
    line: np.ndarray,
    size: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    parts: np.ndarray,
    block_bytes: int,
    slot_bytes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """See `blockwise.weigh`."""
    whole, blocks = np.empty((3, len(size)), np.int64), np.empty((2, len(size)), np.int64)
    chance = np.empty((parts.shape[1] // 2, len(size)))
    shift, weights = block_bytes.bit_length() - 1, np.ascontiguousarray(parts.T)
    nr_outer = _weigh(line, size, *tables, weights, shift, slot_bytes, whole, blocks, chance)
    return whole[0], whole[1], whole[2], chance, nr_outer


@njit(cache=True, error_model="numpy")
def slots_of(
    u: np.ndarray,
    region: np.ndarray,
    low: np.ndarray,
    left: np.ndarray,
    inner: np.ndarray,
    outer: np.ndarray,
    slot_bytes: int,
) -> np.ndarray:
    """See `blockwise.slots_of`."""
    slots = np.empty(len(u), np.int64)
    for i in range(len(u)):
        r = region[i]
        offset = np.int64(u[i] * outer[r])
        if offset >= left[r]:
            offset += inner[r]
        slots[i] = (offset + low[r]) // slot_bytes
    return slots
