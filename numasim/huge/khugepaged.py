"""khugepaged: makes huge pages of what madvise() asked for, a few blocks every ten seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from numasim.agents import Stage
from numasim.huge.folding import HUGE, HugePages
from numasim.huge.kinds import HUGE_BYTES
from numasim.kernel import KhugepagedSettings
from numasim.memory import SWAPPED
from numasim.pages import MappingPages


class Khugepaged:
    """The agent.

    Parameters
    ----------
    stage : Stage
    huge : HugePages
    settings : KhugepagedSettings

    Notes
    -----
    It goes round the advised memory of processes that run, `pages_to_scan` base pages a time,
    whether they are huge already or not; a block needs some page that was accessed since somebody
    last cleared its bit. Where it finds no free 2 MiB, it waits for longer. Source: Linux
    documentation of transparent huge pages, with its defaults. Assumption: memory without advice
    keeps the page size that the workload gives it, whatever ``transparent_hugepage`` says.
    """

    name = "khugepaged"

    def __init__(self, stage: Stage, huge: HugePages, settings: KhugepagedSettings) -> None:
        self._stage, self._huge, self._settings = stage, huge, settings
        self._rng = stage.seeds.stream(self.name)
        self._at = 0  # page at which it goes on
        self._at_work = False
        self._busy_until_ns = 0.0
        self._next_ns = float(settings.scan_sleep) if huge.allowed else math.inf
        self.due_ns = self._next_ns

    def settings(self, changed: dict[str, Any]) -> None:
        """No sysctl concerns it."""

    def counters(self) -> dict[str, int]:
        """By the kernel's names."""
        return {
            "thp_collapse_alloc": self._huge.collapsed,
            "thp_collapse_alloc_failed": self._huge.collapse_failed,
            "thp_fault_alloc": self._huge.faulted,
            "nr_anon_transparent_hugepages": self._huge.nr_huge,
        }

    def act(self, now_ns: int) -> bool:
        """Scan when it is time; whether speeds have to be found anew."""
        changed = False
        if self._at_work and now_ns >= self._busy_until_ns:
            self._stage.end_work(self.name)
            self._at_work, changed = False, True
        if not self._at_work and now_ns >= self._next_ns:
            busy_ns, sleep_ns = self._scan(now_ns)
            self._next_ns = now_ns + busy_ns + sleep_ns
            if busy_ns:
                self._stage.begin_work(self.name, busy_ns)
                self._busy_until_ns, self._at_work, changed = now_ns + busy_ns, True, True
        self.due_ns = self._busy_until_ns if self._at_work else self._next_ns
        return changed

    def _scan(self, now_ns: int) -> tuple[int, int]:
        """Look at the next blocks; time that took, and how long it sleeps then."""
        nr = max(1, self._settings.pages_to_scan * 4096 // HUGE_BYTES)
        busy = 0
        for pages, heads in self._next(nr):
            self._at = int(heads[-1]) + 1
            busy += len(heads) * (HUGE_BYTES // 4096) * self._stage.costs.pte_walk
            found = self._huge.collapse(pages, self._worth(pages, heads, now_ns), self.name)
            busy += found.busy_ns
            if found.out_of_memory:
                return busy, self._settings.alloc_sleep
        return busy, self._settings.scan_sleep

    def _next(self, nr: int) -> Iterator[tuple[MappingPages, np.ndarray]]:
        """The next advised blocks of programs that run, by mapping: int64[B] first pages."""
        states = {a.process for a in self._stage.actors if a.state in ("populating", "running")}
        mappings = sorted(self._stage.space.mappings, key=lambda m: m.first)
        mappings = [m for m in mappings if m.process in states]
        lots = [self._huge.blocks_within(m, 0, m.mapping.size) for m in mappings]
        lots = [heads[self._huge.advice[heads] == HUGE] for heads in lots]
        began = self._at
        for again in (False, True):  # to the end, and then from the beginning
            for pages, heads in zip(mappings, lots, strict=True):
                ahead = heads < began if again else heads >= began
                own = heads[ahead][:nr]
                nr -= len(own)
                if len(own):
                    yield pages, own

    def _worth(self, pages: MappingPages, heads: np.ndarray, now_ns: int) -> np.ndarray:
        """int64[B]: small blocks with few enough holes, no page in swap, and some young page."""
        heads = heads[~self._huge.are_whole(heads)]
        heads = heads[self._huge.advised(heads, HUGE)]
        found = [head for head in heads.tolist() if self._is_worth(head, now_ns)]
        return np.array(found, np.int64)

    def _is_worth(self, head: int, now_ns: int) -> bool:
        pages = self._huge.pages_of_block(head)
        frames = self._stage.memory.frame_of[pages]
        there = pages[frames >= 0]
        holes = (len(pages) - len(there)) * self._stage.memory.pages_per_frame
        if holes > self._settings.max_ptes_none or not len(there) or (frames == SWAPPED).any():
            return False
        law = self._stage.law
        if law.cleared_at is None:  # nobody but DAMON's samples has cleared any bit
            return True
        heads = np.unique(self._stage.space.folio_heads(there))
        if law.before_reading is not None:
            law.before_reading(heads)
        return bool((self._rng.random(len(heads)) < law.young_chance(heads, now_ns)).any())
