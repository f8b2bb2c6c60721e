"""Counts that are halved by a clock, lazily: a count is brought up to date when it is touched."""

from __future__ import annotations

import numpy as np

MOST_SHIFT = 31
AT_ONCE = 4096  # samples ranked together


class CooledCounts:
    """Read and write samples of each unit, all halved when one of them grows beyond a threshold.

    Parameters
    ----------
    nr : int
        Units.
    cooling : int
        A count above it advances the clock.

    Attributes
    ----------
    clock : int
        Halvings so far.

    Notes
    -----
    Source: HeMem (SOSP'21), policies specification section 8. Exact in the order of samples: a
    batch is cut after each sample that advances the clock.
    """

    def __init__(self, nr: int, cooling: int) -> None:
        self._counts = np.zeros((nr, 2), np.int32)  # reads, writes
        self._clock_of = np.zeros(nr, np.int32)
        self.cooling, self.clock = cooling, 0
        self._sum, self._sum_clock = 0, 0

    def add(self, unit: np.ndarray, is_write: np.ndarray) -> int:
        """Count samples (int64[N], bool[N]) in their order; how often the clock advanced."""
        before = self.clock
        self._sum += len(unit)
        kind = is_write.astype(np.int64)
        start = 0
        while start < len(unit):
            part = slice(start, start + AT_ONCE)
            start += self._add(unit[part], kind[part])
        return self.clock - before

    def _add(self, unit: np.ndarray, kind: np.ndarray) -> int:
        """Count samples up to the first that advances the clock; how many were counted."""
        key = unit * 2 + kind
        keys, nr_each = np.unique(key, return_counts=True)
        self._cool(np.unique(keys // 2))
        counts = self._counts.reshape(-1)  # a view: reads and writes in turn
        if (counts[keys] + nr_each).max() <= self.cooling:
            counts[keys] += nr_each.astype(np.int32)
            return len(unit)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        length = np.diff(np.r_[first, len(ordered)])
        rank = np.zeros(len(key), np.int64)
        rank[order] = np.arange(len(key)) - np.repeat(first, length) + 1
        over = np.flatnonzero(self._counts[unit, kind] + rank > self.cooling)
        nr = int(over[0]) + 1 if len(over) else len(unit)
        np.add.at(self._counts, (unit[:nr], kind[:nr]), 1)
        self.clock += len(over) > 0
        return nr

    def _cool(self, units: np.ndarray) -> None:
        behind = np.minimum(self.clock - self._clock_of[units], MOST_SHIFT)
        self._counts[units] >>= behind[:, None]
        self._clock_of[units] = self.clock

    def of(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int32[N], int32[N]: reads and writes of units (int64[N], distinct), up to date."""
        self._cool(units)
        return self._counts[units, 0], self._counts[units, 1]

    def total(self) -> int:
        """Reads and writes of all units together, as `totals` would add up when the clock moved."""
        if self._sum_clock != self.clock:
            self._sum, self._sum_clock = int(self.totals().sum()), self.clock
        return self._sum

    def totals(self) -> np.ndarray:
        """int32[U]: reads and writes together of every unit, up to date; nothing is changed."""
        behind = np.minimum(self.clock - self._clock_of, MOST_SHIFT)
        cooled: np.ndarray = (self._counts >> behind[:, None]).sum(axis=1, dtype=np.int32)
        return cooled
