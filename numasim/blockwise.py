"""Chances of whole regions from counts of pages by class and block, step by step.

What `AccessedBits` needs between its draws, in numpy; `blockwise_jitted` is the same compiled, to
the last bit: weights of counts never round (`traffic.exact_parts`), and nothing here calls a
function whose last digit could depend on the processor.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from numasim.damon.compiled import KERNELS
from numasim.traffic import GROUP_BLOCKS

Weighed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]
Undecided = tuple[np.ndarray, np.ndarray, np.ndarray]


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
    after += inner.take(last, axis=0) @ parts
    after -= inner.take(first, axis=0) @ parts
    return after


def undecided(u: np.ndarray, share: np.ndarray, nr: np.ndarray) -> Undecided:
    """Where ticks fall outside whole blocks, by the place of the first that does.

    That place is geometric, and most regions have none.

    Parameters
    ----------
    u : float64[G, R]
        Uniform in [0, 1).
    share : float64[R]
        Chance of a tick to fall outside.
    nr : int64[G]
        Ticks.

    Returns
    -------
    cells : int64[K]
        Places in [G, R] with at least one such tick, ascending.
    rest : int64[K]
        Ticks after it, which are still free.
    chance : float64[K]
        Their chance to fall outside.
    """
    cells = (u < share * nr[:, None]).reshape(-1).nonzero()[0]  # 1 - (1 - f)^n <= n f
    if not len(cells):
        return cells, cells, np.empty(0)
    many = len(nr) > 1
    chance = share.take(cells % len(share) if many else cells)
    ticks = nr.take(cells // len(share)) if many else np.full(len(cells), nr[0])
    inside = np.repeat((1.0 - chance)[:, None], int(nr.max()), axis=1)
    np.multiply.accumulate(inside, axis=1, out=inside)  # that all ticks so far fell inside
    first = (inside >= (1.0 - u.reshape(-1).take(cells))[:, None]).sum(axis=1)
    found = (first < ticks).nonzero()[0]
    rest = (ticks - 1 - first).take(found)
    return cells.take(found), rest, chance.take(found)


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
    undecided = staticmethod(undecided)
    slots_of = staticmethod(slots_of)


def steps() -> Any:
    """What holds `weigh`, `undecided` and `slots_of`: compiled where that is in use."""
    if KERNELS.ready is None:
        return _Numpy
    return import_module("numasim.blockwise_jitted")
