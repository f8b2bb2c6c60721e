"""The active and inactive lists of one node, without lists of all pages.

Memory that was touched in order lies on a list as one range; only folios that were scanned are
single entries. Source: numa-balancing-tiering specification, section 5.3 (Linux 7.3.4).
"""

from __future__ import annotations

import math
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

BATCH = 32
GIB_PAGES = 1 << 18
IO_COST = 32


def inactive_is_low(inactive: int, active: int) -> bool:
    """Whether so few pages (4 KiB) are inactive that active ones have to be deactivated.

    Parameters
    ----------
    inactive, active : int

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.3: 1:1 below 1 GiB, then 1:sqrt(10 GiB).
    """
    gib = (inactive + active) // GIB_PAGES
    ratio = math.isqrt(10 * gib) if gib else 1
    return inactive * ratio < active


@dataclass
class Costs:
    """What reclaiming each kind has cost lately."""

    anon: int = 0
    file: int = 0

    def note(self, kind: int, rotated: int, io: int, lru_pages: int) -> None:
        """Folios went round in vain, or came back; old costs are halved.

        Parameters
        ----------
        kind : int
        rotated, io : int
            Pages; I/O events.
        lru_pages : int
        """
        more = rotated + IO_COST * io
        if kind == ANON:
            self.anon += more
        else:
            self.file += more
        while self.anon + self.file > max(lru_pages // 4, 1):
            self.anon, self.file = self.anon // 2, self.file // 2


@dataclass(frozen=True)
class Sizes:
    """Pages (4 KiB) by kind, of inactive and of active lists."""

    inactive: tuple[int, int]
    active: tuple[int, int]


def scan_balance(
    sizes: Sizes,
    costs: Costs,
    priority: int,
    swappiness: int,
    kinds: tuple[int, ...],
    free: int,
    high: int,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pages to scan in a round.

    Parameters
    ----------
    sizes : Sizes
    costs : Costs
    priority : int
    swappiness : int
    kinds : tuple of int
        Kinds that can be reclaimed.
    free, high : int
        Free pages of the node, and the sum of its zones' HIGH marks.

    Returns
    -------
    ((int, int), (int, int))
        Of the inactive lists by kind, then of the active ones.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.3 (Linux 7.3.4).
    """
    low = [inactive_is_low(i, a) for i, a in zip(sizes.inactive, sizes.active, strict=True)]
    shares: tuple[float, float] | None = None
    file = sizes.inactive[FILE] + sizes.active[FILE]
    tiny = file + free <= high and not low[ANON] and sizes.inactive[ANON] >> priority > 0
    if ANON not in kinds:
        shares = (0.0, 1.0)
    elif FILE not in kinds:
        shares = (1.0, 0.0)
    elif priority == 0 and swappiness:
        shares = (1.0, 1.0)
    elif tiny:
        shares = (1.0, 0.0)
    elif sizes.inactive[FILE] >> priority and not low[FILE]:
        shares = (0.0, 1.0)
    if shares is not None:
        parts = tuple((share, 1.0) for share in shares)
    else:
        total = costs.anon + costs.file
        anon = swappiness * (3 * total + 1) // (total + costs.anon + 1)
        of_file = (200 - swappiness) * (3 * total + 1) // (total + costs.file + 1)
        parts = ((anon, anon + of_file), (of_file, anon + of_file))
    lists = (sizes.inactive, sizes.active)
    found = [
        tuple(
            int((size >> priority) * part // whole) if whole else 0
            for size, (part, whole) in zip(row, parts, strict=True)
        )
        for row in lists
    ]
    return (found[0][0], found[0][1]), (found[1][0], found[1][1])


class TwoLists:
    """Active and inactive lists of one node; see `numasim.reclaim.records.Lru`.

    Parameters
    ----------
    records : Records
    nid : int
    room : callable
        ``room(nid)`` gives free pages of a node and the sum of its HIGH marks.

    Notes
    -----
    Assumption: an inactive and an active list are scanned in turns of an eighth of the round, not
    of 32 pages; no page is locked, executable or under writeback.
    """

    joins_rounds = False

    def __init__(self, records: Records, nid: int, room: Callable[[int], tuple[int, int]]) -> None:
        self._records, self._nid, self._room = records, nid, room
        self._lists = tuple([Fifo(records.tickets), Fifo(records.tickets)] for _ in (ANON, FILE))
        self._nr = np.zeros((2, 2), np.int64)  # pages by kind, inactive and active
        self._left = np.zeros((2, 2), np.int64)  # to scan in this round, alike
        self._costs = Costs()

    # -- coming and going --------------------------------------------------------------------------

    def arrive(self, heads: np.ndarray) -> None:
        """Folios are on this node from now on, on the list that their flags say."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            active = (self._records.flags[own] & ACTIVE) > 0
            for which, part in enumerate((own[~active], own[active])):
                self._lists[kind][which].add(part)
                self._nr[kind, which] += self._records.nr_pages(part)

    def leave(self, heads: np.ndarray) -> None:
        """Folios leave; they keep their flags."""
        self.take_off(heads)

    def take_off(self, heads: np.ndarray) -> None:
        """Isolate folios; those on no list are so already."""
        held = self._records.tickets.held
        listed = heads[held[heads] > 0]
        held[listed] = 0
        for kind, own in enumerate(self._records.by_kind(listed)):
            active = (self._records.flags[own] & ACTIVE) > 0
            for which, part in enumerate((own[~active], own[active])):
                self._nr[kind, which] -= self._records.nr_pages(part)

    def forget(self, heads: np.ndarray) -> None:
        """Folios are freed."""
        self.leave(heads)
        self._records.flags[heads] = 0

    def settle(self, heads: np.ndarray) -> None:
        """Nothing is found out late here."""

    # -- scanning ----------------------------------------------------------------------------------

    def begin(self, priority: int, kinds: tuple[int, ...], swappiness: int) -> int:
        """A round begins; pages of inactive lists to scan in it."""
        per = self._records.memory.pages_per_frame
        inactive, active = (self._nr * per).T.tolist()
        sizes = Sizes((inactive[0], inactive[1]), (active[0], active[1]))
        free, high = self._room(self._nid)
        scan = scan_balance(sizes, self._costs, priority, swappiness, kinds, free, high)
        self._left = -(-np.array(scan, np.int64).T // per)
        return int(self._left.sum())

    def isolate(
        self, nr_pages: int, kinds: tuple[int, ...], priority: int, now_ns: int
    ) -> Isolated:
        """Take a turn at every list that has pages left in this round."""
        found: list[Isolated] = []
        for kind in kinds:
            walked = 0
            part = np.minimum(self._left[kind], max(BATCH, nr_pages))
            self._left[kind] -= part
            if part[1] and self._is_low(kind):
                walked = self._deactivate(kind, int(part[1]), now_ns)
            one = self._shrink(kind, int(part[0]), now_ns) if part[0] else nothing()
            if kind == ANON and self._is_low(kind):
                walked += self._deactivate(kind, BATCH, now_ns)
            found.append(Isolated(one.heads, one.scanned, one.checked + walked))
        return Isolated(
            np.concatenate([np.empty(0, np.int64), *(one.heads for one in found)]),
            sum(one.scanned for one in found),
            sum(one.checked for one in found),
        )

    def _is_low(self, kind: int) -> bool:
        per = self._records.memory.pages_per_frame
        inactive, active = (self._nr[kind] * per).tolist()
        return inactive_is_low(inactive, active)

    def _deactivate(self, kind: int, nr_pages: int, now_ns: int) -> int:
        """Active folios from the old end become inactive, whatever their bits say; folios."""
        records = self._records
        heads = self._lists[kind][1].take(nr_pages, records.sizes)
        records.find_young(heads, now_ns)
        records.flags[heads] = (records.flags[heads] & ~np.uint8(ACTIVE)) | WORKINGSET
        self._move(heads, kind, 1, 0)
        return len(heads)

    def _move(self, heads: np.ndarray, kind: int, source: int, target: int) -> None:
        """Put folios that were on one list at the young end of another."""
        nr = self._records.nr_pages(heads)
        self._nr[kind, source] -= nr
        self._nr[kind, target] += nr
        self._lists[kind][target].add(heads)

    def _shrink(self, kind: int, nr_pages: int, now_ns: int) -> Isolated:
        """Inactive folios from the old end: young ones go round or become active."""
        records = self._records
        heads = self._lists[kind][0].take(nr_pages, records.sizes)
        young = records.find_young(heads, now_ns)
        used = heads[young]
        again = (records.flags[used] & REFERENCED) > 0
        self._activate(used[again], kind)
        records.flags[used[~again]] |= REFERENCED
        self._lists[kind][0].add(used[~again])
        self._nr[kind, 0] -= records.nr_pages(heads[~young])
        self._costs.note(kind, records.nr_pages(used), 0, int(self._nr.sum()))
        return Isolated(heads[~young], records.nr_pages(heads), len(heads))

    def _activate(self, heads: np.ndarray, kind: int) -> None:
        flags = self._records.flags[heads]
        self._records.flags[heads] = (flags & ~np.uint8(REFERENCED)) | ACTIVE
        self._move(heads, kind, 0, 1)

    def put_back(self, heads: np.ndarray) -> None:
        """Isolated folios could not be reclaimed: they become active."""
        self.take_off(heads)  # what was split on the way is on a list again
        self._records.flags[heads] |= ACTIVE
        self.arrive(heads)
        for kind, own in enumerate(self._records.by_kind(heads)):
            self._costs.note(kind, self._records.nr_pages(own), 0, int(self._nr.sum()))

    def note_reclaimed(self, kind: int, nr_pages: int) -> None:
        """So many pages of a kind were swapped out: each is written."""
        self._costs.note(kind, 0, nr_pages if kind == ANON else 0, int(self._nr.sum()))

    def note_refault(self, heads: np.ndarray) -> None:
        """Folios that were swapped out come back, which costs their kind."""
        for kind, own in enumerate(self._records.by_kind(heads)):
            self._costs.note(kind, 0, len(own), int(self._nr.sum()))

    # -- DAMOS -------------------------------------------------------------------------------------

    def prioritise(self, heads: np.ndarray) -> None:
        """Inactive folios become active."""
        idle = heads[(self._records.flags[heads] & ACTIVE) == 0]
        for kind, own in enumerate(self._records.by_kind(idle)):
            self._activate(own, kind)

    def deprioritise(self, heads: np.ndarray) -> None:
        """Active folios become inactive."""
        records = self._records
        active = heads[(records.flags[heads] & ACTIVE) > 0]
        for kind, own in enumerate(records.by_kind(active)):
            flags = records.flags[own]
            records.flags[own] = flags & ~np.uint8(ACTIVE | REFERENCED)
            self._move(own, kind, 1, 0)

    def are_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these folios are on the active list."""
        active: np.ndarray = (self._records.flags[heads] & ACTIVE) > 0
        return active

    def pages(self) -> tuple[int, int]:
        """Active and inactive pages."""
        inactive, active = self._nr.sum(axis=0).tolist()
        return active, inactive
