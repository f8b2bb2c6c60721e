"""Chances of whole regions from counts of pages by class.

`Bounds` remembers the counts before each bound of a region: most bounds of one window are bounds of
the next. In numpy; `blockwise_jitted` is the same compiled, to the last bit: weights of counts
never round (`counts.exact_parts`).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from numasim.counts import BlockCounts
from numasim.damon.compiled import KERNELS
from numasim.law import Ticks

MOST_GROUPS = 2  # of ticks whose extremes are worth finding
MOST_INVERTED = 60  # samples up to which numpy's generator inverts, whatever the chance
DOUBT = 1e-12  # distance from a step of the distribution function within which rounding may decide
MOST_DOUBT = 0.3  # share of looks that extremes must leave undecided to be worth finding

Places = np.ndarray | slice
"""Which bounds regions begin or end at."""


class Bounds:
    """Pages of each class before bounds of regions, kept from one window to the next.

    Parameters
    ----------
    counts : BlockCounts
    slot_bytes : int
        Bytes of a slot, a power of two.

    Attributes
    ----------
    slots : int64[N]
        Bounds of the last window, ascending.
    used : int64[K]
        Classes that had pages between the first and the last of them.
    """

    def __init__(self, counts: BlockCounts, slot_bytes: int) -> None:
        self._counts, self._slot_bytes, self._version = counts, slot_bytes, -1
        self._shifts = slot_bytes.bit_length() - 1, (counts.block_slots // 2).bit_length() - 1
        self.slots = self.used = np.empty(0, np.int64)
        self._rows = np.empty((0, 0))
        self._packed: np.ndarray | None = None  # the rows as the compiled kernel has them
        self._held = self._spare = np.empty(0, np.int64), np.empty((0, 0), np.int32)
        self._words: np.ndarray | None = None
        self._mixed: tuple[int, int] | None = None  # a state in which extremes are of no use

    @property
    def rows(self) -> np.ndarray:
        """float64[N, K], whole: pages of the used classes before each bound."""
        if self._packed is not None:
            self._rows = self._packed[:, : len(self.used)].astype(np.float64)
            self._packed = None
        return self._rows

    def chances(
        self, start: np.ndarray, end: np.ndarray, move: int, size: np.ndarray, ticks: Ticks
    ) -> tuple[np.ndarray, int | None]:
        """How likely a sample of each region is found accessed.

        Parameters
        ----------
        start, end : int64[R]
            Regions.
        move : int
            What is to be added for bounds on the line of slots, bytes.
        size : int64[R]
            Bytes, holes included.
        ticks : Ticks
            Without fronts.

        Returns
        -------
        chance : float64[G, R]
        some : int or None
            How many of the last group are not 0, where that was counted.
        """
        if KERNELS.ready is not None:
            found = self._chances_compiled(start, end, move, size, ticks)
            if found is not None:
                return found
        edges, low, high = _edges(start, end, move)
        slots = edges >> self._shifts[0]
        self._follow(slots)
        heat = self.rows @ ticks.parts.take(self.used, axis=0)
        between = heat[high] - heat[low]
        half = between.shape[1] // 2
        warm = between[:, :half] + between[:, half:]
        if self._cut_pages(edges):
            part = self._within(slots, edges - slots * self._slot_bytes, ticks)
            warm += part[high] - part[low]
        chance: np.ndarray = warm.T * (self._slot_bytes / size)
        np.maximum(chance, 0.0, out=chance)  # rounding leaves a hair beyond either end
        np.minimum(chance, 1.0, out=chance)
        return chance, None

    def _chances_compiled(
        self, start: np.ndarray, end: np.ndarray, move: int, size: np.ndarray, ticks: Ticks
    ) -> tuple[np.ndarray, int] | None:
        """The same; None where the kernel cannot: pages have moved, or it knows too little."""
        counts, nr = self._counts, len(start)
        small = counts.nr_slots < 2**31
        if self._version != counts.version or not len(self.used) or not small:
            return None
        packed, (slots, rows) = self._pack(), self._spare
        if len(slots) <= nr or rows.shape[1] != packed.shape[1]:
            slots, rows = np.empty(2 * nr, np.int64), np.empty((2 * nr, packed.shape[1]), np.int32)
        chance = np.empty((len(ticks.nr), nr))
        some: int = _jitted().chances(
            start, end, move, size, *self._shifts, self.slots, packed, self.used,
            *counts.whole_tables(), self._words, ticks.parts, ticks.probability, slots, rows,
            chance,
        )  # fmt: skip
        if some < 0:
            return None
        self._spare, self._held = self._held, (slots, rows)
        self.slots, self._packed = slots[: nr + 1], rows[: nr + 1]
        return chance, some

    def _pack(self) -> np.ndarray:
        """int32[N, W]: rows as the compiled kernel has them, filled up with zeros."""
        if self._packed is None:
            step = _jitted().WIDTH_STEP
            nr, width = len(self.slots), -(-len(self.used) // step) * step
            self._packed = np.zeros((nr, width), np.int32)
            self._packed[:, : len(self.used)] = self._rows
            self._held = self.slots, self._packed
        if self._words is None:
            self._words = self._counts.tables()[2].view(np.uint64)
        return self._packed

    def extremes(self, line: np.ndarray, ticks: Ticks) -> np.ndarray | None:
        """float64[2, G, R]: lowest and highest chance of all pages in each region.

        None where bounds cut pages, or where that would save few looks at pages: ticks differ too
        much, or most regions hold pages of any kind.

        Parameters
        ----------
        line : int64[2, R]
            Bounds of regions on the line of slots, bytes.
        ticks : Ticks
            Without fronts.
        """
        state = (self._counts.version, len(ticks.nr))
        edges, low, high = _edges(line[0], line[1], 0)
        if state == self._mixed or len(ticks.nr) > MOST_GROUPS or self._cut_pages(edges):
            return None
        self._follow(edges >> self._shifts[0])
        found = np.zeros((2, len(ticks.nr), line.shape[1]))
        if len(self.used):
            present = self.rows[high] != self.rows[low]
            for g, chance in enumerate(ticks.probability.take(self.used, axis=1)):
                order = chance.argsort()
                rising, there = chance.take(order), present.take(order, axis=1)
                found[0, g] = rising.take(there.argmax(axis=1))
                found[1, g] = rising.take(-1 - there[:, ::-1].argmax(axis=1))
            if float((found[1] - found[0]).mean()) > MOST_DOUBT:
                self._mixed = state
                return None
        return found

    def _follow(self, slots: np.ndarray) -> None:
        """Turn to other bounds (int64[N], ascending)."""
        known, counts = self.slots, self._counts
        alike = self._version == counts.version and len(known) > 0
        if alike and slots[0] == known[0] and slots[-1] == known[-1]:
            at = known.searchsorted(slots)
            rows = self.rows.take(at, axis=0)
            new = (known.take(at) != slots).nonzero()[0]
            if len(new):
                rows[new] = counts.before_slots(slots.take(new)).take(self.used, axis=1)
        else:
            rows = counts.before_slots(slots)
            self.used = (rows[-1] != rows[0]).nonzero()[0]
            rows = rows.take(self.used, axis=1)
            self._version = counts.version
        self.slots, self._rows, self._packed = slots, rows, None

    def _cut_pages(self, edges: np.ndarray) -> bool:
        """Whether a bound (int64[N], bytes on the line of slots) lies within a page."""
        return bool(np.bitwise_or.reduce(edges) & self._slot_bytes - 1)

    def _within(self, slots: np.ndarray, inside: np.ndarray, ticks: Ticks) -> np.ndarray:
        """float64[N, G]: chance of the pages that bounds cut, times the share before the bound."""
        of_slot = self._counts.tables()[2].take(slots)
        chance = np.zeros((ticks.probability.shape[1] + 1, len(ticks.nr)))
        chance[1:] = ticks.probability.T
        part: np.ndarray = chance[of_slot] * (inside / self._slot_bytes)[:, None]
        return part


def successes(
    rng: np.random.Generator, nr: int, chance: np.ndarray, some: int | None = None
) -> np.ndarray:
    """int64[R]: how many of `nr` independent samples succeed, each with its chance (float64[R]).

    Parameters
    ----------
    rng : numpy.random.Generator
    nr : int
    chance : float64[R]
    some : int, optional
        How many chances are not 0, where that is known.

    Notes
    -----
    What the generator draws. It inverts the distribution function with one uniform number for each
    chance that is not 0; compiled, that is done with few branches. Where rounding could decide, the
    numbers are given back and the generator is asked itself.
    """
    if KERNELS.ready is None or nr > MOST_INVERTED:
        return rng.binomial(nr, chance)
    used = int(np.count_nonzero(chance)) if some is None else some
    found = np.empty(len(chance), np.int64)
    if not _jitted().inverted(nr, chance, rng.random(used), DOUBT, found):
        rng.bit_generator.advance(2**128 - used)  # type: ignore[attr-defined]
        return rng.binomial(nr, chance)
    return found


def _edges(start: np.ndarray, end: np.ndarray, move: int) -> tuple[np.ndarray, Places, Places]:
    """Bounds of regions in order, moved, int64[N]; and which of them are lower and upper ones."""
    nr = len(start)
    if np.logical_and.reduce(start[1:] == end[:-1]):
        edges = np.empty(nr + 1, np.int64)
        np.add(start, move, out=edges[:-1])
        edges[-1] = end[-1] + move
        return edges, slice(0, nr), slice(1, nr + 1)
    edges, at = np.unique(np.stack((start, end)), return_inverse=True)
    low, high = at.reshape(2, nr)
    return edges + move, low, high


@cache
def _jitted() -> Any:
    """The compiled kernels; asked for only where they are in use."""
    return import_module("numasim.blockwise_jitted")
