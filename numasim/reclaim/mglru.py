"""The multi-generational LRU of one node, without lists of all pages.

The kernel's own lists are sorted late: aging walks page tables and notes a generation with each
folio that it finds young, and a folio moves to that generation's list when its turn on the old one
comes. Here the walk is late as well: only its instant is kept, and what it found of a folio is
drawn from the law when somebody looks at the folio. So aging costs nothing, and eviction what it
scans. Source: numa-balancing-tiering specification, section 5.4 (Linux 7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numasim.reclaim.fifo import Fifo
from numasim.reclaim.records import (
    ACTIVE,
    ANON,
    FILE,
    REFERENCED,
    WORKINGSET,
    Isolated,
    Records,
    nothing,
)

MIN_GENERATIONS, MAX_GENERATIONS = 2, 4
BATCH = 64
"""Pages of an eviction batch, and entries that a check looks around at."""
DEFAULT_PRIORITY = 12


@dataclass
class Position:
    """How many pages of a kind were reclaimed, and came back."""

    total: float = 0.0
    refaulted: float = 0.0

    def fade(self) -> None:
        """An aging: what was before counts half."""
        self.total, self.refaulted = self.total / 2, self.refaulted / 2


def prefers_file(anon: Position, file: Position, swappiness: int) -> bool:
    """Whether pages of files are evicted rather than anonymous ones.

    Parameters
    ----------
    anon, file : Position
    swappiness : int

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.4. Assumption: fewer than a batch of
    refaults decide nothing, and a batch is added to each total.
    """
    if swappiness <= 1:
        return True
    if swappiness >= 200:
        return False
    if file.refaulted < BATCH:
        return True
    mine = file.refaulted * (anon.total + BATCH) * swappiness
    return mine <= (anon.refaulted + 1) * file.total * (200 - swappiness)


class MultiGen:
    """Generations of one node; see `numasim.reclaim.records.Lru`.

    Parameters
    ----------
    records : Records
    nid : int
    present : callable
        ``present(nid)`` gives pages on a node by kind.

    Notes
    -----
    Assumption: every aging walks all page tables (no Bloom filter); files have no protected tiers;
    a walk takes no time between its first page and its last.
    """

    joins_rounds = True

    def __init__(self, records: Records, nid: int, present: Callable[[int], np.ndarray]) -> None:
        self._records, self._nid, self._present = records, nid, present
        self.max_seq, self.min_seq = MIN_GENERATIONS + 1, [0, 0]
        self._lists: tuple[dict[int, Fifo], dict[int, Fifo]] = ({}, {})
        self._walked_ns: dict[int, int] = {}
        self.position = (Position(), Position())
        self._swappiness = 60

    def _list(self, kind: int, seq: int) -> Fifo:
        return self._lists[kind].setdefault(seq, Fifo(self._records.tickets))

    # -- coming and going --------------------------------------------------------------------------

    def arrive(self, heads: np.ndarray) -> None:
        """Folios are on this node from now on: in the youngest generations or the oldest."""
        records = self._records
        for kind, own in enumerate(records.by_kind(heads)):
            if not len(own):
                continue
            flags = records.flags[own]
            seq = np.full(len(own), self.max_seq - 1)
            if kind == FILE:
                used = (flags & (REFERENCED | WORKINGSET)) > 0
                seq = np.maximum(self.max_seq - np.where(used, 2, 3), self.min_seq[FILE])
            active = (flags & ACTIVE) > 0
            if active.any():
                young = self.max_seq - 1 + ((flags & WORKINGSET) > 0)
                seq = np.where(active, young, seq)
                records.flags[own] = flags & ~np.uint8(ACTIVE)
            self._add(own, kind, seq)

    def _add(self, heads: np.ndarray, kind: int, seq: np.ndarray) -> None:
        """Put folios of a kind on the lists of generations (int64[N]), all agings behind them."""
        records = self._records
        records.gen[heads], records.seen[heads] = seq, self.max_seq
        self._sort(heads, kind)

    def _sort(self, heads: np.ndarray, kind: int) -> None:
        """Put folios on the lists of the generations that they belong to."""
        if len(heads):
            seq = self._records.gen[heads].astype(np.int64)
            first = int(seq.min())
            for step, nr in enumerate(np.bincount(seq - first).tolist()):
                if nr:
                    own = heads if nr == len(heads) else heads[seq == first + step]
                    self._list(kind, first + step).add(own)

    def leave(self, heads: np.ndarray) -> None:
        """Folios are about to leave; those of young generations arrive elsewhere as active."""
        records = self._records
        listed = heads[records.tickets.held[heads] > 0]
        self.settle(listed)
        young = listed[records.gen[listed] > self.max_seq - MIN_GENERATIONS]
        records.flags[young] |= ACTIVE
        records.tickets.held[heads] = 0

    def forget(self, heads: np.ndarray) -> None:
        """Folios are freed."""
        self._records.tickets.held[heads] = 0
        self._records.flags[heads] = 0

    # -- aging -------------------------------------------------------------------------------------

    def age(self, now_ns: int) -> int:
        """Make a new generation: a walk over all page tables; entries read."""
        for kind in (ANON, FILE):
            if self.max_seq - self.min_seq[kind] + 1 == MAX_GENERATIONS:
                self._fold(kind)
            self.position[kind].fade()
        self.max_seq += 1
        self._walked_ns[self.max_seq] = now_ns
        self._walked_ns.pop(self.max_seq - 2 * MAX_GENERATIONS, None)
        return int(self._present(self._nid).sum())

    def _fold(self, kind: int) -> None:
        """The oldest generation becomes the old end of the next."""
        oldest = self.min_seq[kind]
        if oldest in self._lists[kind]:
            self._list(kind, oldest + 1).add_first(self._lists[kind].pop(oldest))
        self.min_seq[kind] += 1

    def settle(self, heads: np.ndarray) -> None:
        """Find out what walks since the last look have found of folios (int64[N])."""
        records = self._records
        late = heads[records.seen[heads] < self.max_seq]
        if not len(late):
            return
        first = max(int(records.seen[late].min()) + 1, min(self._walked_ns, default=0))
        for seq in range(first, self.max_seq + 1):
            own = late[records.seen[late] < seq]
            young = own[records.find_young(own, self._walked_ns[seq])]
            records.gen[young[records.refer(young)]] = seq
            records.seen[own] = seq

    # -- eviction ----------------------------------------------------------------------------------

    def begin(self, priority: int, kinds: tuple[int, ...], swappiness: int) -> int:
        """A round begins; pages to scan in it."""
        self._swappiness = swappiness
        return int(self._present(self._nid)[list(kinds)].sum()) >> priority

    def isolate(
        self, nr_pages: int, kinds: tuple[int, ...], priority: int, now_ns: int
    ) -> Isolated:
        """Take cold folios off the oldest generation, or age if there are too few generations."""
        if not kinds:
            return nothing()
        for kind in (ANON, FILE):
            self._advance(kind)
        oldest = min(self.min_seq[kind] for kind in kinds)
        spare = self.max_seq - oldest - MIN_GENERATIONS
        if spare < 0 or (spare == 0 and priority < DEFAULT_PRIORITY):
            return nothing(self.age(now_ns))
        order = sorted(kinds, reverse=prefers_file(*self.position, self._swappiness))
        for kind in order:
            if self.max_seq - self.min_seq[kind] + 1 > MIN_GENERATIONS:
                found = self._evict(kind, nr_pages, now_ns)
                if found.scanned:
                    return found
        return nothing()

    def _advance(self, kind: int) -> None:
        """Leave empty generations behind."""
        while self.min_seq[kind] + MIN_GENERATIONS <= self.max_seq:
            oldest = self._lists[kind].get(self.min_seq[kind])
            if oldest is not None and not oldest.is_empty():
                return
            self._lists[kind].pop(self.min_seq[kind], None)
            self.min_seq[kind] += 1

    def _evict(self, kind: int, nr_pages: int, now_ns: int) -> Isolated:
        records, oldest = self._records, self.min_seq[kind]
        batch = self._list(kind, oldest).take(max(nr_pages, BATCH), records.sizes)
        self.settle(batch)
        moved = records.gen[batch] > oldest
        self._sort(batch[moved], kind)
        asked = batch[~moved]
        young = records.find_young(asked, now_ns)
        walked = self._look_around(asked[young], now_ns)
        self._keep(asked[young], kind)
        return Isolated(asked[~young], records.nr_pages(batch), len(asked), walked)

    def kept(self, found: Isolated, most: int) -> Isolated:
        """The first of what a scan took, about so many pages; the others are the oldest again."""
        sizes = self._records.sizes(found.heads)
        enough = int(np.searchsorted(np.cumsum(sizes), most)) + 1
        surplus = found.heads[enough:]
        if not len(surplus):
            return found
        for kind, own in enumerate(self._records.by_kind(surplus)):
            first = Fifo(self._records.tickets)
            first.add(own)
            self._list(kind, self.min_seq[kind]).add_first(first)
        scanned = found.scanned - int(sizes[enough:].sum())
        return Isolated(found.heads[:enough], scanned, found.checked - len(surplus), found.walked)

    def _keep(self, heads: np.ndarray, kind: int) -> None:
        """Put back folios that were found young: among the young, and the youngest if again."""
        records = self._records
        again = records.refer(heads)
        used = again | ((records.flags[heads] & WORKINGSET) > 0)
        self._add(heads, kind, self.max_seq - 1 + used)

    def _look_around(self, heads: np.ndarray, now_ns: int) -> int:
        """Read the bits beside those of base pages found young; entries read."""
        records = self._records
        heads = heads[records.sizes(heads) == 1]
        if not len(heads):
            return 0
        windows = np.unique(heads // BATCH)
        pages = (windows[:, None] * BATCH + np.arange(BATCH)).reshape(-1)
        pages = pages[pages < records.space.nr_pages]
        beside = pages[records.tickets.held[pages] > 0]
        beside = beside[records.sizes(beside) == 1]
        frames = records.memory.frame_of[beside].astype(np.int64)
        beside = beside[records.memory.node_of(frames) == self._nid]
        self.settle(beside)
        young = beside[records.find_young(beside, now_ns)]
        records.gen[young[records.refer(young)]] = self.max_seq
        return len(pages)

    def take_off(self, heads: np.ndarray) -> None:
        """Isolate folios."""
        self._records.tickets.held[heads] = 0

    def put_back(self, heads: np.ndarray) -> None:
        """Isolated folios could not be reclaimed: they go to a young generation."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            self._add(own, kind, np.full(len(own), self.max_seq - 1))

    def note_reclaimed(self, kind: int, nr_pages: int) -> None:
        """So many pages of a kind were swapped out."""
        self.position[kind].total += nr_pages

    def note_refault(self, heads: np.ndarray) -> None:
        """Folios that were swapped out are about to arrive again."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            self.position[kind].refaulted += len(own)

    # -- DAMOS -------------------------------------------------------------------------------------

    def prioritise(self, heads: np.ndarray) -> None:
        """Folios become part of the youngest generation."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            self._records.flags[own] |= WORKINGSET
            self._add(own, kind, np.full(len(own), self.max_seq))

    def deprioritise(self, heads: np.ndarray) -> None:
        """Folios become part of the oldest generation, at its old end."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            self._records.flags[own] = 0
            self._advance(kind)
            records, oldest = self._records, self.min_seq[kind]
            records.gen[own], records.seen[own] = oldest, self.max_seq
            first = Fifo(records.tickets)
            first.add(own)
            self._list(kind, oldest).add_first(first)

    def are_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these folios are of the two youngest generations."""
        self.settle(heads)
        active: np.ndarray = self._records.gen[heads] > self.max_seq - MIN_GENERATIONS
        return active

    def pages(self) -> tuple[int, int]:
        """Pages of the two youngest generations, and of the others, as far as has been seen."""
        records, active = self._records, 0
        for kind in (ANON, FILE):
            for seq in (self.max_seq, self.max_seq - 1):
                if seq in self._lists[kind]:
                    active += records.nr_pages(self._lists[kind][seq].heads())
        return active, int(self._present(self._nid).sum()) - active
