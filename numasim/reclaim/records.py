"""What reclaim remembers of folios, and how it reads accessed bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from numasim.law import STAMP_NS, Law
from numasim.memory import Memory
from numasim.pages import PageSpace
from numasim.reclaim.fifo import Tickets

REFERENCED, WORKINGSET, ACTIVE = 1, 2, 4
"""Flags of a folio."""
ANON, FILE = 0, 1
"""Kinds of pages, each with lists of their own."""


class Records:
    """Flags, generations and list entries of all folios, by first page.

    Parameters
    ----------
    space : PageSpace
    law : Law
    memory : Memory
    rng : numpy.random.Generator
        Decides whether a bit that is read was set.

    Attributes
    ----------
    tickets : Tickets
    flags : uint8[P]
    gen : uint32[P]
        Generation, as far as it is known.
    seen : uint32[P]
        The last aging that is reflected in `gen`.

    Notes
    -----
    Assumption: what one reader of an accessed bit clears is lost to the others: a check by DAMON
    hides earlier accesses from reclaim and the other way round. Linux passes a part of that on in
    flags of the folio.
    """

    def __init__(
        self, space: PageSpace, law: Law, memory: Memory, rng: np.random.Generator
    ) -> None:
        self.space, self.law, self.memory, self._rng = space, law, memory, rng
        law.track_bits()
        self.tickets = Tickets(space.nr_pages)
        self.flags = np.zeros(space.nr_pages, np.uint8)
        self.gen = np.zeros(space.nr_pages, np.uint32)
        self.seen = np.zeros(space.nr_pages, np.uint32)
        of_file = np.array([m.mapping.kind == "file" for m in space.mappings])
        self.file_class = of_file[space.mapping_of_class]

    def sizes(self, heads: np.ndarray) -> np.ndarray:
        """int64[N]: pages of each folio."""
        sizes: np.ndarray = self.space.pages_per_bit[self.space.class_of[heads]]
        return sizes

    def nr_pages(self, heads: np.ndarray) -> int:
        """Pages of some folios together."""
        return int(self.sizes(heads).sum())

    def by_kind(self, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Folios of anonymous memory, and of files, each in order."""
        if not self.file_class.any():
            return heads, heads[:0]
        of_file = self.file_class[self.space.class_of[heads]]
        return heads[~of_file], heads[of_file]

    def find_young(self, heads: np.ndarray, at_ns: int) -> np.ndarray:
        """Read bits as they were at an instant, which leaves them clear from then on.

        Parameters
        ----------
        heads : int64[N]
            First pages of present folios.
        at_ns : int
            Not before their bits were last read by reclaim.

        Returns
        -------
        bool[N]
        """
        law = self.law
        assert law.cleared_at is not None
        young: np.ndarray = self._rng.random(len(heads)) < law.young_chance(heads, at_ns)
        stamp = np.uint32(max(at_ns // STAMP_NS, 1))
        law.cleared_at[heads] = np.maximum(law.cleared_at[heads], stamp)
        return young

    def refer(self, heads: np.ndarray) -> np.ndarray:
        """Folios were found young: the first time that only marks them referenced.

        Parameters
        ----------
        heads : int64[N]

        Returns
        -------
        bool[N]
            Which were marked before; these belong to the working set from now on.
        """
        flags = self.flags[heads]
        again: np.ndarray = (flags & (REFERENCED | WORKINGSET)) > 0
        self.flags[heads] = flags | np.where(again, WORKINGSET, REFERENCED).astype(np.uint8)
        return again


@dataclass(frozen=True)
class Isolated:
    """What a scan took off the lists.

    Parameters
    ----------
    heads : int64[N]
        Folios to reclaim, coldest first; they are on no list.
    scanned : int
        Pages looked at for reclaim.
    checked : int
        Folios whose bits were read through their mappings.
    walked : int
        Page-table entries read in passing.
    """

    heads: np.ndarray
    scanned: int = 0
    checked: int = 0
    walked: int = 0


def nothing(walked: int = 0) -> Isolated:
    """A scan that found no folio."""
    return Isolated(np.empty(0, np.int64), walked=walked)


class Lru(Protocol):
    """How one node knows its cold folios.

    `kinds` are those that can be reclaimed there now, a tuple of `ANON` and `FILE`.

    Attributes
    ----------
    joins_rounds : bool
        Whether one scan finds what several short rounds find one after the other.
    """

    joins_rounds: bool

    def arrive(self, heads: np.ndarray) -> None:
        """Folios (int64[N]) are on this node from now on."""
        ...

    def leave(self, heads: np.ndarray) -> None:
        """Folios are about to leave, by migration."""
        ...

    def forget(self, heads: np.ndarray) -> None:
        """Folios are freed."""
        ...

    def settle(self, heads: np.ndarray) -> None:
        """Somebody else is about to read these folios' bits."""
        ...

    def begin(self, priority: int, kinds: tuple[int, ...], swappiness: int) -> int:
        """A round of scanning begins; pages to scan in it."""
        ...

    def isolate(
        self, nr_pages: int, kinds: tuple[int, ...], priority: int, now_ns: int
    ) -> Isolated:
        """Scan about so many pages, or age."""
        ...

    def take_off(self, heads: np.ndarray) -> None:
        """Isolate folios; those on no list are so already."""
        ...

    def put_back(self, heads: np.ndarray) -> None:
        """Isolated folios could not be reclaimed."""
        ...

    def note_reclaimed(self, kind: int, nr_pages: int) -> None:
        """So many pages of a kind were swapped out."""
        ...

    def note_refault(self, heads: np.ndarray) -> None:
        """Folios that were swapped out are about to arrive again."""
        ...

    def prioritise(self, heads: np.ndarray) -> None:
        """Folios count as hot (DAMOS ``lru_prio``)."""
        ...

    def deprioritise(self, heads: np.ndarray) -> None:
        """Folios are next in turn for reclaim (DAMOS ``lru_deprio``)."""
        ...

    def are_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these folios count as active."""
        ...

    def pages(self) -> tuple[int, int]:
        """Active and inactive pages."""
        ...
