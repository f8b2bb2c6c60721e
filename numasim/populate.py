"""First touch in the course of time: the pages a thread still has to fault in, and how fast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from numasim.huge.folding import HugePages
from numasim.kernel import CostSettings
from numasim.mapping import Mempolicy
from numasim.memory import ABSENT
from numasim.migration import Migrator
from numasim.pages import CompiledPattern, MappingPages

STEP_NS, SHORT_STEP_NS = 20_000_000, 1_000_000
NEAR = 4  # steps end where nodes have so many times what kswapd restores, and are short then
HUGE_BYTES = 2 << 20

Task = tuple[MappingPages, int, int]
"""A mapping and the pages ``[first, last)`` of it, whole folios."""


@dataclass
class Populating:
    """Pages that some threads still have to touch for the first time, in order.

    Parameters
    ----------
    tasks : list of Task
    home : int
        Nearest node of those who touch.
    threads : int
    since_ns : int
        Faults up to that instant are done.
    """

    tasks: list[Task]
    home: int
    threads: int
    since_ns: int


class Populator:
    """Faults pages in as time passes.

    Parameters
    ----------
    migrator : Migrator
    costs : CostSettings
    policies : dict of int to Mempolicy
        By the first page of a mapping; looked up at every step, so that new weights hold at once.

    Attributes
    ----------
    huge : HugePages or None
        Who makes huge pages where madvise() asked for them.
    """

    def __init__(
        self, migrator: Migrator, costs: CostSettings, policies: dict[int, Mempolicy]
    ) -> None:
        self._migrator, self._costs, self._policies = migrator, costs, policies
        self.huge: HugePages | None = None

    def missing(self, patterns: Iterable[tuple[CompiledPattern, float]]) -> list[Task]:
        """What patterns visit, after so much work of each, and is not there yet; each part once."""
        found: dict[tuple[int, int, int], Task] = {}
        frame_of = self._migrator.memory.frame_of
        for compiled, work in patterns:
            pages, k = compiled.pages, compiled.pages.folio_pages
            there = compiled.pattern.populated_pages(work, pages.nr // k) * k
            for extent in compiled.extents:
                first, last = extent.first * k, min(extent.last * k, there)
                frames = frame_of[pages.first + first : pages.first + max(first, last)]
                if (frames == ABSENT).any():
                    found[pages.first, first, last] = (pages, first, last)
        return list(found.values())

    def due_ns(self, populating: Populating) -> int:
        """The instant of the next step: when all is done, a step is over, or one fault is."""
        left = sum(
            (last - first) / pages.folio_pages * self._fault_ns(pages, populating.threads)
            for pages, first, last in populating.tasks
        )
        one = self._fault_ns(populating.tasks[0][0], populating.threads) if populating.tasks else 0
        step = self._step_ns(populating, one)
        return populating.since_ns + max(1, math.ceil(one), math.ceil(min(step, left)))

    def _step_ns(self, populating: Populating, fault_ns: float) -> float:
        """Length of a step: short where reclaim may have to make room for the pages meanwhile."""
        memory = self._migrator.memory
        if memory.kswapd is None or not populating.tasks:
            return STEP_NS
        pages = populating.tasks[0][0]
        orders = self._policies[pages.first].orders(memory.topology, populating.home)
        room = goals = 0
        for node in orders[-1]:
            goal = sum(memory.goal_of(zone) for zone in memory.zones_of_node(node))
            room, goals = room + max(0, memory.free_frames(node) - NEAR * goal), goals + goal
        short = min(SHORT_STEP_NS, goals / 2 * fault_ns)
        return min(STEP_NS, max(room / pages.folio_pages * fault_ns, short))

    def write_bytes_per_ns(self, populating: Populating) -> float:
        """Zeroing now: bytes per ns written to memory."""
        if not populating.tasks:  # it only waits for its own reclaim to end
            return 0.0
        pages = populating.tasks[0][0]
        return pages.mapping.page / self._fault_ns(pages, populating.threads)

    def step(self, populating: Populating, now_ns: int) -> bool:
        """First touch what fits into the time since the last step; whether all is there."""
        if now_ns < self.due_ns(populating):
            return False
        from_ns, left_ns = populating.since_ns, float(now_ns - populating.since_ns)
        while populating.tasks:
            pages, first, last = populating.tasks[0]
            fault_ns, k = self._fault_ns(pages, populating.threads), pages.folio_pages
            stop = min(last, first + math.floor(left_ns / fault_ns + 1e-6) * k)
            if stop <= first:
                break
            frames = self._migrator.memory.frame_of[pages.first + first : pages.first + stop]
            left_ns -= np.count_nonzero(frames == ABSENT) // k * fault_ns
            policy = self._policies[pages.first]
            if self.huge is not None:
                nr, touched = self.huge.fault(
                    pages, first, stop, populating.home, policy, from_ns, now_ns
                )
                left_ns -= nr * self._costs.minor_fault_huge / populating.threads
                left_ns += touched // k * fault_ns
            self._migrator.first_touch(pages, first, stop, populating.home, policy, from_ns, now_ns)
            populating.tasks[:1] = [(pages, stop, last)] if stop < last else []
            left_ns -= self._migrator.stall_ns / populating.threads
            self._migrator.stall_ns = 0
        if left_ns < -1:  # they have reclaimed for longer than there was time, and go on later
            populating.since_ns = now_ns - math.floor(left_ns)
            return False
        populating.since_ns = now_ns - math.floor(max(left_ns, 0.0)) if populating.tasks else now_ns
        return not populating.tasks

    def _fault_ns(self, pages: MappingPages, threads: int) -> float:
        """Time per folio: the fault's own cost, zeroing included."""
        huge = pages.mapping.page >= HUGE_BYTES
        return (self._costs.minor_fault_huge if huge else self._costs.minor_fault) / threads
