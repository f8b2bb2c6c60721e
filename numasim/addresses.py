"""Addresses ↔ slots: physical ranges onto frames, a process's mappings onto its pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np


class AddressSpace:
    """Ranges of addresses laid on consecutive slots; what lies between ranges has no slot.

    Parameters
    ----------
    ranges : sequence of (start, end, first_slot)
        Bytes and slot index; slots rise with addresses.
    slot_bytes : int
    """

    def __init__(self, ranges: Sequence[tuple[int, int, int]], slot_bytes: int) -> None:
        table = np.array(sorted(ranges), np.int64).reshape(-1, 3)
        self._start, self._end, self._first = table.T.copy()
        self.slot_bytes = slot_bytes
        self._starts, self._ends = self._start.tolist(), self._end.tolist()
        self._shifts = (self._first * slot_bytes - self._start).tolist()

    def move(self, low: int, high: int) -> int | None:
        """What to add to addresses from `low` to `high` for the line; None if not one range."""
        only = max(bisect_right(self._starts, low) - 1, 0)
        if low >= self._starts[only] and high <= self._ends[only]:
            found: int = self._shifts[only]
            return found
        return None

    def linear(self, address: np.ndarray) -> np.ndarray:
        """int64[…]: place of each address on the line of slots, bytes; holes have no length."""
        if not address.size:
            return address
        move = self.move(int(address.min()), int(address.max()))
        if move is not None:
            line: np.ndarray = address + move
            return line
        k = np.maximum(np.searchsorted(self._start, address, "right") - 1, 0)
        inside = np.clip(address - self._start[k], 0, self._end[k] - self._start[k])
        line = self._first[k] * self.slot_bytes + inside
        return line

    def slots(self, start: int, end: int) -> list[tuple[int, int]]:
        """Intervals of slots that overlap ``[start, end)``, ascending."""
        found = []
        for a, b, first in zip(
            self._start.tolist(), self._end.tolist(), self._first.tolist(), strict=True
        ):
            low, high = max(a, start), min(b, end)
            if low < high:
                found.append(
                    (first + (low - a) // self.slot_bytes, first - (a - high) // self.slot_bytes)
                )
        return found

    def vmas(self) -> list[tuple[int, int]]:
        """The ranges themselves, ascending."""
        return list(zip(self._start.tolist(), self._end.tolist(), strict=True))
