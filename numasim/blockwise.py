"""Chances of whole regions from counts of pages by class and block, step by step.

What `AccessedBits` needs between its draws, in numpy; `blockwise_jitted` is the same compiled, to
the last bit: weights of counts never round (`traffic.exact_parts`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from numasim.damon.compiled import KERNELS
from numasim.traffic import GROUP_BLOCKS

Weighed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]

ALMOST_ONE = 1 - 2.0**-53


def weigh(
    line: np.ndarray,
    size: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    parts: np.ndarray,
    block_bytes: int,
    slot_bytes: int,
) -> Weighed:
    """How likely a sample of each region is found accessed in whole blocks, and how much is left.

    Parameters
    ----------
    line : int64[2, R]
        Bounds of regions on the line of slots, bytes.
    size : int64[R]
        Bytes, holes included.
    tables : uint16[B, C], float64[B / GROUP_BLOCKS, C]
        Pages of each class before a block within its group, and before a group.
    parts : float64[C, 2G]
        Chances of the classes, from `exact_parts`.
    block_bytes, slot_bytes : int
        Powers of two.

    Returns
    -------
    left : int64[R]
        Bytes before the first whole block.
    inner, outer : int64[R]
        Bytes in whole blocks, and mapped ones outside.
    chance : float64[G, R]
        That a sample which is not outside is found accessed.
    nr_outer : int
        Regions that lie mostly outside whole blocks.
    """
    shift = block_bytes.bit_length() - 1
    low, high = line
    first = (low + (block_bytes - 1)) >> shift
    last = high >> shift
    np.maximum(last, first, out=last)
    inner = (last - first) << shift
    outer = high - low
    outer -= inner
    left = np.where(inner > 0, (first << shift) - low, outer)
    nr_outer = int(np.count_nonzero(outer + outer > size))
    half = parts.shape[1] // 2
    between = _between(first, last, tables, parts)
    warm = between[:, :half] + between[:, half:]
    chance = warm.T * (slot_bytes / np.maximum(size - outer, 1))
    np.minimum(chance, 1.0, out=chance)
    return left, inner, outer, chance, nr_outer


def _between(
    first: np.ndarray, last: np.ndarray, tables: tuple[np.ndarray, np.ndarray], parts: np.ndarray
) -> np.ndarray:
    """float64[R, 2G]: weight of all pages in blocks ``[first, last)``."""
    inner, outer = tables
    above, below = last // GROUP_BLOCKS, first // GROUP_BLOCKS
    before = outer.take(below, axis=0) @ parts
    # a region mostly ends in the group of blocks in which the next one begins
    after: np.ndarray = np.empty_like(before)
    after[:-1], after[-1] = before[1:], outer[above[-1]] @ parts
    others = (above[:-1] != below[1:]).nonzero()[0]
    if len(others):
        after[others] = outer.take(above[others], axis=0) @ parts
    after -= before
    more = np.subtract(inner.take(last, axis=0), inner.take(first, axis=0), dtype=np.float64)
    after += more @ parts
    return after


def undecided(
    rng: np.random.Generator, share: np.ndarray, nr: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ticks that fall outside whole blocks: binomials, drawn by the places of first successes.

    Those are geometric, most regions have none, and few have a second one.

    Parameters
    ----------
    rng : numpy.random.Generator
    share : float64[R]
        Chance of a tick to fall outside.
    nr : int64[G]
        Ticks of each group.

    Returns
    -------
    cells : int64[K]
        Places in [G, R] with at least one such tick, ascending.
    times : int64[K]
        How many.
    """
    u = rng.random((len(nr), len(share)))
    cells = (u < share * nr[:, None]).reshape(-1).nonzero()[0]  # 1 - (1 - f)^n <= n f
    many = len(nr) > 1
    chance = share.take(cells % len(share) if many else cells)
    ticks = nr.take(cells // len(share)) if many else nr
    found, rest = _after_first(u.reshape(-1).take(cells), chance, ticks)
    cells, chance = cells.take(found), chance.take(found)
    times = np.ones(len(cells), np.int64)
    u = rng.random(len(cells))
    again = (u < chance * rest).nonzero()[0]
    if len(again):
        found, rest = _after_first(u.take(again), chance.take(again), rest.take(again))
        again = again.take(found)
        times[again] += 1 + rng.binomial(rest, chance.take(again))
    return cells, times


def _after_first(
    u: np.ndarray, chance: np.ndarray, nr: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Who has a success in `nr` trials, int64[K], and how many trials are left after it."""
    first = np.log1p(-u) / np.log1p(-np.minimum(chance, ALMOST_ONE))
    rest = nr - 1 - first.astype(np.int64)
    found = (rest >= 0).nonzero()[0]
    return found, rest.take(found)


def slots_of(
    u: np.ndarray,
    region: np.ndarray,
    low: np.ndarray,
    left: np.ndarray,
    inner: np.ndarray,
    outer: np.ndarray,
    slot_bytes: int,
) -> np.ndarray:
    """int64[N]: slots where ticks outside whole blocks look, uniform over what lies there.

    Parameters
    ----------
    u : float64[N]
        Uniform in [0, 1).
    region : int64[N]
        Region of each tick.
    low, left, inner, outer : int64[R]
        Begin of each region on the line of slots and what `weigh` found, bytes.
    slot_bytes : int
    """
    offset = (u * outer.take(region)).astype(np.int64)
    offset += low.take(region) + inner.take(region) * (offset >= left.take(region))
    slots: np.ndarray = offset // slot_bytes
    return slots


class _Numpy:
    """The functions above, as a module of compiled ones holds them."""

    weigh = staticmethod(weigh)
    slots_of = staticmethod(slots_of)


def steps() -> Any:
    """What holds `weigh` and `slots_of`: compiled where that is in use."""
    if KERNELS.ready is None:
        return _Numpy
    return import_module("numasim.blockwise_jitted")
