"""How many pages of each rate class lie where, in sums that cost the same for any range.

`BlockCounts` knows it for any range of frames, or of virtual pages, to the page.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

MAX_BLOCK_SLOTS = 128  # 512 KiB of 4 KiB pages
MIN_BLOCK_SLOTS = 16
FEWEST_BLOCKS = 1 << 17  # small memories have smaller blocks, so that regions have whole ones
MOST_BYTES = 1 << 28  # that smaller blocks may take
GROUP_BLOCKS = 128  # of 128 slots at most: sums within a group fit 16 bits
HIGH_BITS, LOW_BITS = 22, 44  # see `exact_parts`
WORDS = (np.uint64, np.uint32, np.uint16)
LINE_BYTES = 64  # of the processor's cache
ROWS_AT_ONCE = 4096  # places whose half blocks are fetched together


def exact_parts(weights: np.ndarray) -> np.ndarray:
    """float64[C, 2G]: weights in [0, 1] as two parts whose weighted sums of counts never round.

    Parameters
    ----------
    weights : float64[C, G]

    Returns
    -------
    float64[C, 2G]
        High parts of all columns, then low parts.

    Notes
    -----
    The parts are multiples of 2^-22 and of 2^-44 below 2^-22: with up to 2^31 pages every partial
    sum is a whole number of them below 2^53. So a sum is the same in any order, on any processor,
    in compiled code as in numpy, and differences lose nothing.
    """
    high = np.rint(weights * 2.0**HIGH_BITS) * 2.0**-HIGH_BITS
    low = np.rint((weights - high) * 2.0**LOW_BITS) * 2.0**-LOW_BITS
    return np.concatenate([high, low], axis=1)


def in_whole_lines(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that begin where a line of the processor's cache does, so that rows touch few lines.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype or type
    """
    nr_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(nr_bytes + LINE_BYTES, np.uint8)
    first = -room.ctypes.data % LINE_BYTES
    lines: np.ndarray = room[first : first + nr_bytes].view(dtype).reshape(shape)
    return lines


@cache
def _between_bounds(half: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Of the half block that a place lies in, the slots between it and the nearest block's bound.

    ones and zeros of `dtype`, [2 * half, half]: by the place within its block.
    """
    place, slot = np.arange(half)[:, None], np.arange(half)
    of_place = np.concatenate([slot < place, slot >= place]).astype(dtype)
    of_place.flags.writeable = False
    return of_place


class BlockCounts:
    """Pages of each rate class by block of slots, with two-level prefix sums.

    Parameters
    ----------
    nr_slots : int
        Frames or virtual pages covered.
    nr_classes : int

    Attributes
    ----------
    block_slots : int
        Slots of a block, a power of two.
    version : int
        Grows with every change.

    Notes
    -----
    A query costs two gathers per bound whatever the range; a move dirties the groups that it
    touches and only those are summed again.
    """

    def __init__(self, nr_slots: int, nr_classes: int) -> None:
        self.nr_slots, self.nr_classes, self.version = nr_slots, nr_classes, 0
        fit = max(nr_slots // FEWEST_BLOCKS, 4 * nr_classes * nr_slots // MOST_BYTES)
        fit = 1 << max(0, fit.bit_length() - 1)
        self.block_slots = min(max(fit, MIN_BLOCK_SLOTS), MAX_BLOCK_SLOTS)
        self.nr_blocks = -(-nr_slots // self.block_slots)
        self._nr_groups = self.nr_blocks // GROUP_BLOCKS + 1
        padded = self._nr_groups * GROUP_BLOCKS
        self._counts = in_whole_lines((padded, nr_classes), np.uint16)
        self._inner = in_whole_lines((padded, nr_classes), np.uint16)
        self._group_totals = np.zeros((self._nr_groups, nr_classes), np.int64)
        self._outer = np.zeros((self._nr_groups + 1, nr_classes))
        self._outer_whole: np.ndarray | None = None
        self._dirty = np.zeros(self._nr_groups, bool)
        self._any_dirty = False
        # sums within a group fit 16 bits, so counts of several classes are added up as one word
        self._word = next(w for w in WORDS if 2 * nr_classes % w().itemsize == 0)
        # the class of the page in each slot, plus one
        of_slot: type = np.uint8 if nr_classes < 255 else np.uint16
        self._of_slot = in_whole_lines((padded * self.block_slots,), of_slot)

    def add(self, slots: np.ndarray, classes: np.ndarray) -> None:
        """Pages of `classes` now occupy `slots` (int64[N], distinct)."""
        self._change(np.add, slots, classes)
        self._of_slot[slots] = classes + 1

    def remove(self, slots: np.ndarray, classes: np.ndarray) -> None:
        """The pages of `classes` at `slots` are gone."""
        self._change(np.subtract, slots, classes)
        self._of_slot[slots] = 0

    def _change(self, ufunc: np.ufunc, slots: np.ndarray, classes: np.ndarray) -> None:
        if not len(slots):
            return
        blocks = slots // self.block_slots
        ufunc.at(self._counts.reshape(-1), blocks * self.nr_classes + classes, np.uint16(1))
        self._dirty[blocks // GROUP_BLOCKS] = True
        self._any_dirty = True
        self.version += 1

    def _refresh(self) -> None:
        groups = np.flatnonzero(self._dirty)
        shape = (self._nr_groups, GROUP_BLOCKS, self.nr_classes)
        part = self._counts.reshape(shape)[groups].view(self._word)
        sums = part.cumsum(axis=1, dtype=self._word)
        self._group_totals[groups] = sums[:, -1].view(np.uint16)
        sums -= part
        self._inner.reshape(shape)[groups] = sums.view(np.uint16)
        np.cumsum(self._group_totals, axis=0, out=self._outer[1:])
        self._outer_whole = None
        self._dirty[groups] = False
        self._any_dirty = False

    def kinds(self, slots: np.ndarray) -> np.ndarray:
        """uint8 or uint16, as `slots`: one more than the class of the page in each, 0 for none."""
        kinds: np.ndarray = self._of_slot.take(slots)
        return kinds

    def slots_of(self, number: int) -> np.ndarray:
        """int64[N]: slots that hold a page of a class, ascending; a look at all slots."""
        return np.flatnonzero(self._of_slot[: self.nr_slots] == number + 1)

    def before(self, blocks: np.ndarray) -> np.ndarray:
        """float64[N, C], whole: pages of each class in all blocks before each given index."""
        if self._any_dirty:
            self._refresh()
        before: np.ndarray = self._outer.take(blocks // GROUP_BLOCKS, axis=0)
        before += self._inner.take(blocks, axis=0)
        return before

    def between(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """float64[N, C], whole: pages of each class in blocks ``[first, last)``."""
        between: np.ndarray = self.before(last) - self.before(first)
        return between

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `before_slots` adds up, read only: uint16[B, C], float64[B / GROUP_BLOCKS + 1, C],
        uint8 or uint16[S].

        Pages of each class before each block within its group, and before each group; one more than
        the class of the page in each slot, 0 where there is none.
        """
        if self._any_dirty:
            self._refresh()
        return self._inner, self._outer, self._of_slot

    def whole_tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`tables` with int32 for float64, for less than 2**31 slots: half the memory to fetch."""
        inner, outer, of_slot = self.tables()
        if self._outer_whole is None:
            self._outer_whole = in_whole_lines(outer.shape, np.int32)
            self._outer_whole[:] = outer
        return inner, self._outer_whole, of_slot

    def before_slots(self, slots: np.ndarray) -> np.ndarray:
        """float64[N, C], whole: pages of each class in all slots before each given one (int64[N]).

        Up to `nr_slots`.
        """
        if len(slots) <= ROWS_AT_ONCE:
            return self._before_slots(slots)
        parts = [slots[i : i + ROWS_AT_ONCE] for i in range(0, len(slots), ROWS_AT_ONCE)]
        return np.concatenate([self._before_slots(part) for part in parts])

    def _before_slots(self, slots: np.ndarray) -> np.ndarray:
        """From the nearest bound of a block on, classes are counted slot by slot."""
        half = self.block_slots // 2
        halves = slots >> half.bit_length() - 1
        classes: np.ndarray = self._of_slot.reshape(-1, half).take(halves, axis=0)
        classes *= _between_bounds(half, classes.dtype).take(slots & self.block_slots - 1, axis=0)
        width = self.nr_classes + 1
        # slot by slot through all rows: neighbours in a row are often alike, and adding to a count
        # waits for what was added to it just before
        cells = np.empty(classes.T.shape, np.int64)
        np.add(classes.T, np.arange(0, len(slots) * width, width), out=cells)
        near = np.bincount(cells.reshape(-1), minlength=len(slots) * width).reshape(-1, width)
        near *= (1 - 2 * (halves & 1))[:, None]
        before = self.before(slots + half >> half.bit_length())
        before += near[:, 1:]
        return before

    def heat(self, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """float64[N] or [N, K]: weight of all pages before places; in a block they lie evenly.

        Parameters
        ----------
        at : float64[N]
            Places on the line of slots.
        weights : float64[C] or float64[C, K]
        """
        if self._any_dirty:
            self._refresh()
        places = np.minimum(np.maximum(at, 0), self.nr_slots) / self.block_slots
        blocks = places.astype(np.int64)
        share = (places - blocks).reshape(-1, *(1,) * (weights.ndim - 1))
        heat: np.ndarray = self._counts.take(blocks, axis=0) @ weights
        heat *= share
        heat += self._inner.take(blocks, axis=0) @ weights
        groups = blocks // GROUP_BLOCKS
        if len(groups) < len(self._outer):
            heat += self._outer.take(groups, axis=0) @ weights
        else:
            heat += (self._outer @ weights).take(groups, axis=0)
        return heat

    def by_block(self) -> np.ndarray:
        """uint16[nr_blocks, C] view: pages of each class per block (read only)."""
        view = self._counts[: self.nr_blocks]
        view.flags.writeable = False
        return view

    def totals(self) -> np.ndarray:
        """int64[C]: pages of each class in all."""
        if self._any_dirty:
            self._refresh()
        totals: np.ndarray = self._outer[-1].astype(np.int64)
        return totals
