"""MEMTIS's picture of hotness: cooled counts, a histogram of their logarithms, thresholds."""

from __future__ import annotations

import numpy as np

NR_BINS = 16
HUGE_PAGES = 512
"""Base pages of a huge page: a base page's sample weighs so much more than a huge page's."""
FULL_ENOUGH = 0.75
"""Share of the fast tier that the hot set has to fill to leave no room for warm pages."""


def bins_of(counts: np.ndarray) -> np.ndarray:
    """int64[N]: histogram bin of counts (uint32[N]): the logarithm to base 2; 0 for 0 and 1."""
    found: np.ndarray = np.frexp(np.maximum(counts, 1).astype(np.float64))[1] - 1
    return np.minimum(found.astype(np.int64), NR_BINS - 1)


class Heat:
    """Counts of pages by number, halved by a clock, and how many pages have which logarithm.

    Parameters
    ----------
    nr : int
        Numbers are below it; untouched ones take no memory.

    Attributes
    ----------
    bins : int64[16]
        Size of the pages in each bin above 0; of bin 0 nobody asks.
    clock : int
        Halvings so far.

    Notes
    -----
    Halving shifts the histogram by a bin; a page's own count is halved when it is next touched, and
    what the shift got wrong of it (only in the last bin) is then corrected. Source: MEMTIS
    (SOSP'23), policies specification section 8.
    """

    def __init__(self, nr: int) -> None:
        self._count = np.zeros(nr, np.uint32)
        self._clock_of = np.zeros(nr, np.uint16)
        self.bins = np.zeros(NR_BINS, np.int64)
        self.clock = 0

    def cool(self) -> None:
        """Halve everything."""
        self.clock += 1
        self.bins[:-1] = self.bins[1:]
        self.bins[-1] = 0

    def _behind(self, numbers: np.ndarray) -> np.ndarray:
        behind: np.ndarray = np.minimum(self.clock - self._clock_of[numbers].astype(np.int64), 31)
        return behind

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """uint32[N]: counts as of now."""
        counts: np.ndarray = self._count[numbers] >> self._behind(numbers).astype(np.uint32)
        return counts

    def bin_of(self, numbers: np.ndarray) -> np.ndarray:
        """int64[N]: bins as of now."""
        return bins_of(self.of(numbers))

    def add(self, numbers: np.ndarray, amounts: np.ndarray, sizes: np.ndarray) -> None:
        """Count more for distinct pages: int64[N] each, sizes in frames."""
        self.put(numbers, self.of(numbers) + amounts.astype(np.uint32), sizes)

    def put(self, numbers: np.ndarray, counts: np.ndarray, sizes: np.ndarray) -> None:
        """Give distinct pages new counts."""
        recorded = np.maximum(bins_of(self._count[numbers]) - self._behind(numbers), 0)
        self.bins -= np.bincount(recorded, sizes, NR_BINS).astype(np.int64)
        self.bins += np.bincount(bins_of(counts), sizes, NR_BINS).astype(np.int64)
        self._count[numbers], self._clock_of[numbers] = counts, self.clock

    def thresholds(self, capacity: int) -> tuple[int, int]:
        """Bins from which pages are hot and warm.

        Parameters
        ----------
        capacity : int
            Frames of the fast tier that are to be used.

        Returns
        -------
        hot, warm : int
            Hot: the smallest bin so that pages at or above it fit; 16 if not even the last bin
            does. Warm: one below, unless the hot set fills three quarters of the capacity.

        Notes
        -----
        Assumption: pages of bin 0, at most one sample, are never hot.
        """
        above = np.cumsum(self.bins[:0:-1])  # from the last bin down to bin 1
        fitting = int(np.argmax(above > capacity)) if (above > capacity).any() else len(above)
        hot = NR_BINS - fitting
        filled = int(above[fitting - 1]) if fitting else 0
        warm = hot if filled >= FULL_ENOUGH * capacity else hot - 1
        return hot, max(warm, 1)
