"""A small node whose LRU lists are plain lists, and whose accesses happen one by one.

Written from the numa-balancing-tiering specification, sections 5.3 and 5.4: every page has a bit
that accesses set, walks and checks look at each page, every page is on a list. Anonymous base pages
only; no swap.
"""

from __future__ import annotations

import math

import numpy as np


class World:
    """Pages, their bits, and accesses that come at random."""

    def __init__(self, rates_per_s: np.ndarray, rng: np.random.Generator) -> None:
        self.rates, self.rng = rates_per_s, rng
        self.bit = np.ones(len(rates_per_s), bool)  # first touch has set them

    def pass_time(self, seconds: float) -> None:
        """Accesses of that time set bits."""
        self.bit |= self.rng.random(len(self.rates)) < -np.expm1(-self.rates * seconds)

    def read(self, page: int) -> bool:
        """Read a bit and clear it."""
        was = bool(self.bit[page])
        self.bit[page] = False
        return was


class MultiGenTwin:
    """Section 5.4 with a list for every generation; index 0 of a list is its old end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.max_seq, self.min_seq = 3, 0
        nr = len(world.rates)
        self.gen = {page: 2 for page in range(nr)}
        self.lists: dict[int, list[int]] = {2: list(range(nr))}
        self.referenced: set[int] = set()
        self.workingset: set[int] = set()

    def _second_time(self, page: int) -> bool:
        if page in self.referenced or page in self.workingset:
            self.workingset.add(page)
            return True
        self.referenced.add(page)
        return False

    def scan(self, nr: int, priority: int) -> tuple[list[int], int]:
        """Pages to reclaim, and how many were scanned."""
        while self.min_seq + 2 <= self.max_seq and not self.lists.get(self.min_seq):
            self.min_seq += 1
        spare = self.max_seq - self.min_seq - 2
        if spare < 0 or (spare == 0 and priority < 12):
            self._age()
            return [], 0
        reclaimed: list[int] = []
        batch = self.lists[self.min_seq][: max(nr, 64)]
        self.lists[self.min_seq] = self.lists[self.min_seq][max(nr, 64) :]
        asked = [page for page in batch if self.gen[page] == self.min_seq]
        for page in batch:
            if self.gen[page] != self.min_seq:
                self.lists.setdefault(self.gen[page], []).append(page)
        young = [page for page in asked if self.world.read(page)]
        for window in sorted({page // 64 for page in young}):
            for page in range(window * 64, window * 64 + 64):
                beside = page in self.gen and page not in asked
                if beside and self.world.read(page) and self._second_time(page):
                    self.gen[page] = self.max_seq
        for page in asked:
            if page in young:
                again = self._second_time(page)
                used = again or page in self.workingset
                self.gen[page] = self.max_seq - 1 + used
                self.lists.setdefault(self.gen[page], []).append(page)
            else:
                reclaimed.append(page)
                del self.gen[page]
        return reclaimed, len(batch)

    def _age(self) -> None:
        self.max_seq += 1
        for page in list(self.gen):
            if self.world.read(page) and self._second_time(page):
                self.gen[page] = self.max_seq


class TwoListsTwin:
    """Section 5.3 with two plain lists; index 0 is the old end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.inactive, self.active = list(range(len(world.rates))), []
        self.referenced: set[int] = set()

    def _low(self) -> bool:
        gib = (len(self.inactive) + len(self.active)) // (1 << 18)
        ratio = math.isqrt(10 * gib) if gib else 1
        return len(self.inactive) * ratio < len(self.active)

    def _deactivate(self, nr: int) -> None:
        moved, self.active = self.active[:nr], self.active[nr:]
        for page in moved:
            self.world.read(page)
        self.inactive += moved

    def sizes(self, priority: int) -> tuple[int, int]:
        """Pages of the two lists to scan in a round: anonymous ones alone."""
        return len(self.inactive) >> priority, len(self.active) >> priority

    def turn(self, nr_inactive: int, nr_active: int) -> tuple[list[int], int]:
        """Scan so many of each; pages to reclaim, and how many were scanned."""
        if nr_active and self._low():
            self._deactivate(nr_active)
        reclaimed: list[int] = []
        batch, self.inactive = self.inactive[:nr_inactive], self.inactive[nr_inactive:]
        for page in batch:
            if not self.world.read(page):
                reclaimed.append(page)
            elif page in self.referenced:
                self.referenced.discard(page)
                self.active.append(page)
            else:
                self.referenced.add(page)
                self.inactive.append(page)
        if self._low():
            self._deactivate(32)
        return reclaimed, len(batch)
