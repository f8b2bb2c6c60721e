"""Virtual address operations: each target is a process, folios are found through its mappings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from numasim.damon.folios import FUTILE, HUGE_ACTIONS, LRU_ACTIONS, SCORES, Folios
from numasim.damon.huge_actions import advise
from numasim.damon.ops import Applied, choose_dests, three_regions
from numasim.damon.schemes import SchemeState

if TYPE_CHECKING:
    from collections.abc import Callable

    from numasim.huge.folding import HugePages
    from numasim.pages import MappingPages

PAGE_BYTES = 4096


@dataclass(frozen=True)
class ProcessView:
    """A monitored process: its mappings by address, and whether it is alive."""

    mappings: Sequence[MappingPages]
    alive: Callable[[], bool]

    def vmas(self) -> list[tuple[int, int]]:
        """Address ranges of its mappings, ascending."""
        return sorted((m.address, m.address + m.mapping.size) for m in self.mappings)


class Vaddr:
    """``vaddr`` and, with fixed regions, ``fvaddr``.

    Parameters
    ----------
    folios : Folios
    processes : sequence of ProcessView
        One per target.
    frame_of : int32[pages]
        Frame of each page, negative where it is absent.
    frame_bytes : int
    fixed : bool
        ``fvaddr``: the regions given stay.
    huge : HugePages, optional
        Who makes huge pages, for the actions that ask for them.

    Notes
    -----
    Source: DAMON operations specification, sections 2 and 6.3 (Linux 7.3.4).
    """

    updates = True

    def __init__(
        self,
        folios: Folios,
        processes: Sequence[ProcessView],
        frame_of: np.ndarray,
        frame_bytes: int,
        fixed: bool = False,
        huge: HugePages | None = None,
    ) -> None:
        self._folios, self._processes, self._frame_of = folios, processes, frame_of
        self._frame_bytes, self._fixed, self._huge = frame_bytes, fixed, huge
        self.name = "fvaddr" if fixed else "vaddr"
        self.updates = not fixed

    def follow(self, processes: Sequence[ProcessView], addr_unit: int) -> None:
        """Go on with other targets."""
        self._processes = processes

    def init_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """The process's three regions; None for fixed ranges (fvaddr)."""
        return None if self._fixed else self._regions(target_index)

    def update_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """The process's three regions now; None where they are fixed."""
        if self._fixed or not self.target_valid(target_index):
            return None
        return self._regions(target_index)

    def _regions(self, target_index: int) -> list[tuple[int, int]]:
        """Three regions around the two largest gaps.

        Assumption: a workload that describes fewer than three mappings leaves out code and stack,
        which no real process lacks; then its mappings are the regions.
        """
        vmas = self._processes[target_index].vmas()
        return three_regions(vmas) or vmas

    def target_valid(self, target_index: int) -> bool:
        """Whether the process runs."""
        return self._processes[target_index].alive()

    def score_kind(self, action: str) -> str | None:
        """How regions are ranked for an action; ``"flat"`` where all are alike."""
        return SCORES.get(action, "flat")

    def apply(
        self, scheme: SchemeState, target_index: int, start: int, end: int, now_ns: int
    ) -> Applied:
        """Act on the folios of one region, mapping by mapping; what is no action has no effect."""
        if scheme.action in FUTILE["vaddr"]:
            return Applied(0)
        if scheme.action in HUGE_ACTIONS:
            process = self._processes[target_index]
            if not process.alive() or self._huge is None:
                return Applied(0)
            mappings = sorted(process.mappings, key=lambda m: m.address)
            return advise(self._huge, mappings, scheme.action, start, end, self._folios.name)
        applied = passed = busy = 0
        for pages in self._processes[target_index].mappings:
            low = max(start, pages.address) - pages.address
            high = min(end, pages.address + pages.mapping.size) - pages.address
            if low >= high:
                continue
            own = np.arange(
                pages.first + low // self._frame_bytes, pages.first - (-high // self._frame_bytes)
            )
            own = own[self._frame_of[own] >= 0]
            heads = self._folios.heads_of(own, None)
            if scheme.action in LRU_ACTIONS:  # madvise: all or nothing, and no filter is asked
                busy += self._folios.madvise(scheme.action, heads, now_ns)
                applied += high - low
                continue
            heads = heads[self._folios.passed(scheme, heads, now_ns)]
            if not scheme.action.startswith("migrate"):
                passed += int(self._folios.sizes(heads).sum())
                continue
            for nid, part in self._by_destination(scheme, pages, heads):
                moved = self._folios.migrator.migrate(part[::-1], nid, self._folios.name)
                applied, busy = applied + moved.bytes, busy + moved.busy_ns
        return Applied(applied, passed, busy + self._folios.take_busy_ns())

    def _by_destination(
        self, scheme: SchemeState, pages: MappingPages, heads: np.ndarray
    ) -> list[tuple[int, np.ndarray]]:
        if not scheme.dests:
            return [(scheme.target_nid, heads)]
        offset = 0 if pages.mapping.kind == "file" else pages.address // PAGE_BYTES
        address = pages.address + (heads - pages.first) * self._frame_bytes
        pages_per_folio = self._folios.sizes(heads) // PAGE_BYTES
        chosen = np.empty(len(heads), np.int64)
        for size in np.unique(pages_per_folio).tolist():  # split folios count in base pages
            own, order = pages_per_folio == size, size.bit_length() - 1
            chosen[own] = choose_dests(scheme.dests, address[own], pages.address, offset, order)
        nodes = dict.fromkeys(d.nid for d in scheme.dests if d.weight)
        return [(nid, heads[chosen == nid]) for nid in nodes]

    def does_nothing(self, scheme: SchemeState) -> bool:
        """Never: statistics tell how many bytes are present."""
        return False

    def end_pass(self, scheme: SchemeState) -> None:
        """Forget the scheme's last folio: the next pass may act on it again."""
        scheme.last_applied = None
