"""Shadow copies: promoted pages keep their old frame until they are written to.

Source: policies specification, section 8 (Nomad, OSDI'24).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numasim.agents import Stage
from numasim.balancing.waiting import Waiting
from numasim.copies import Copies
from numasim.reclaim.reclaimer import Reclaimer

REQUESTED_FACTOR = 10
"""Shadows are freed for so many times the memory that was asked for."""


class Shadows:
    """Which promoted pages still have their copy, and who wrote to the others.

    Parameters
    ----------
    stage : Stage
    reclaimer : Reclaimer
        Demotes by going back to copies, and frees these before anything else.
    cause : str
        Whose promotions leave copies; for counters as well.
    now_ns : int

    Attributes
    ----------
    written, remapped, reclaimed : int
        Copies (pages) that a write made useless, that demotion went back to, that were freed.
    write_rates : float64[C]
        Writes per ns to a folio of each class, as they were lately.

    Notes
    -----
    The first write to a page with a copy is drawn from the law, as hint faults are; it takes a
    write-protection fault. Assumption: sweeps write by their mean rate; freeing copies takes no
    time; going back to them takes a shootdown and the entries of one page table each time.
    """

    def __init__(self, stage: Stage, reclaimer: Reclaimer, cause: str, now_ns: int) -> None:
        self._stage, self._cause, self._now_ns = stage, cause, now_ns
        space = stage.space
        self._rng = stage.seeds.stream(f"{cause}/writes")
        self.copies = Copies(stage.migrator, cause)
        self._waiting, self._number = Waiting(space.nr_classes), 0
        self._watched = np.zeros(space.nr_pages, np.uint32)
        self._writes = np.zeros(space.nr_classes)
        self.write_rates = np.zeros(space.nr_classes)
        self.written = self.remapped = self.reclaimed = 0
        reclaimer.forget, reclaimer.put_back = self.forget, self.put_back
        memory = stage.memory
        self._wake, memory.kswapd = memory.kswapd, self.wake
        self._direct, memory.direct_reclaim = memory.direct_reclaim, self.make_room

    # -- writes ------------------------------------------------------------------------------------

    def watch(self, heads: np.ndarray) -> None:
        """Folios (int64[N]) were promoted now, and are write-protected."""
        self._number += 1
        self._watched[heads] = self._number
        classes = self._stage.space.class_of[heads].astype(np.int64)
        mark = self._writes[classes] + self._rng.standard_exponential(len(heads))
        self._waiting.add(heads, classes, mark, np.full(len(heads), self._number))

    def until(self, now_ns: int) -> None:
        """Writes up to an instant: the pages' copies are freed, the writers charged."""
        span_ns = now_ns - self._now_ns
        if span_ns <= 0:
            return
        truth = self._stage.observing.truth
        writes = self._stage.space.of_bits(truth.visits(self._now_ns, now_ns)[:, 1])
        self._now_ns = now_ns
        self.write_rates = writes.sum(axis=0) / span_ns
        self._writes = self._writes + writes.sum(axis=0)
        due = self._waiting.take(self._writes)
        good = (self._watched[due.page] == due.armed) & self.copies.has(due.page)
        heads, classes = due.page[good], due.classes[good]
        if not len(heads):
            return
        self._watched[heads] = 0
        self.written += self.copies.drop(heads)
        shares = np.cumsum(writes[:, classes], axis=0)
        u = self._rng.random(len(heads)) * shares[-1]
        actor = np.minimum((shares <= u).sum(axis=0), len(shares) - 1)
        stall = np.bincount(actor, minlength=len(shares)) * float(self._stage.costs.minor_fault)
        observing = self._stage.observing
        observing.charge(observing.tally(self._cause), len(heads), stall, span_ns)

    # -- what reclaim asks -------------------------------------------------------------------------

    def forget(self, heads: np.ndarray) -> None:
        """Folios leave their node some other way: their copies are of no use."""
        own = heads[self.copies.has(heads)]
        if len(own):
            self.copies.drop(own)

    def put_back(self, heads: np.ndarray, cause: str, now_ns: int) -> tuple[np.ndarray, int]:
        """Demote clean folios to their copies; those left to demote by copying, and the time, ns.

        Parameters
        ----------
        heads : int64[N]
        cause : str
        now_ns : int
        """
        self.until(now_ns)
        clean = self.copies.has(heads)
        own = heads[clean]
        if not len(own):
            return heads, 0
        self.remapped += self.copies.put_back(own, f"{cause} (remap)")
        costs = self._stage.costs
        return heads[~clean], costs.tlb_shootdown + len(own) * costs.pte_scan

    def _reclaim(self, nid: int, nr: int) -> int:
        freed = self.copies.reclaim(nid, REQUESTED_FACTOR * nr)
        self.reclaimed += freed
        return freed

    def wake(self, nid: int) -> None:
        """A node is short of memory: copies go first, and kswapd works if that was not enough."""
        memory = self._stage.memory
        short = sum(max(0, memory.goal_of(z) + 1 - z.free) for z in memory.zones_of_node(nid))
        self._reclaim(nid, short)
        if self._wake is not None and not memory.is_balanced(nid):
            self._wake(nid)

    def make_room(self, nodes: Sequence[int], nr: int) -> int:
        """A task that allocates needs frames: copies go first; frames freed."""
        freed = sum(self._reclaim(nid, nr) for nid in nodes)
        if freed or self._direct is None:
            return freed
        return self._direct(nodes, nr)
