"""Physical address operations: one target, ranges of frames, folios found through the frame map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from numasim.damon.folios import FUTILE, LRU_ACTIONS, SCORES, Folios
from numasim.damon.ops import Applied
from numasim.damon.schemes import SchemeState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numasim.addresses import AddressSpace
    from numasim.damon.vaddr import ProcessView

SCORES_PADDR = {**SCORES, "lru_prio": "hot", "lru_deprio": "cold"}


class Paddr:
    """``paddr``. Source: DAMON operations specification, sections 3 and 6.1 (Linux 7.3.4).

    Parameters
    ----------
    folios : Folios
    addresses : AddressSpace
        Physical ranges on frames.
    page_of : int32[frames]
        Page in each frame, negative where there is none.
    addr_unit : int
        Bytes of one core address unit.
    """

    name = "paddr"
    updates = False

    def __init__(
        self, folios: Folios, addresses: AddressSpace, page_of: np.ndarray, addr_unit: int = 1
    ) -> None:
        self._folios, self._addresses, self._page_of = folios, addresses, page_of
        self._unit = addr_unit

    def follow(self, processes: Sequence[ProcessView], addr_unit: int) -> None:
        """Go on with another address unit."""
        self._unit = addr_unit

    def init_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """None: a target of physical memory keeps the ranges it was given."""
        return None

    def update_ranges(self, target_index: int) -> list[tuple[int, int]] | None:
        """None: physical memory does not change."""
        return None

    def target_valid(self, target_index: int) -> bool:
        """Always: physical memory does not end."""
        return True

    def score_kind(self, action: str) -> str | None:
        """How regions are ranked for an action; ``"flat"`` where all are alike."""
        return SCORES_PADDR.get(action, "flat")

    def apply(
        self, scheme: SchemeState, target_index: int, start: int, end: int, now_ns: int
    ) -> Applied:
        """Act on the folios of one region; what is no action here has no effect."""
        if self.does_nothing(scheme) or scheme.action in FUTILE["paddr"]:
            return Applied(0)
        slots = self._addresses.slots(start * self._unit, end * self._unit)
        if not slots:  # the region lies in a hole
            return Applied(0)
        frames = [self._page_of[first:last] for first, last in slots]
        pages = np.concatenate(frames) if len(frames) != 1 else frames[0]
        pages = pages[pages >= 0].astype(np.int64)
        last = scheme.last_applied
        heads = self._folios.heads_of(pages, last if isinstance(last, int) else None)
        if not len(heads):
            return Applied(0)
        scheme.last_applied = int(heads[-1])
        passing = heads[self._folios.passed(scheme, heads, now_ns)]
        passed_bytes = int(self._folios.sizes(passing).sum())
        busy = self._folios.take_busy_ns()
        if scheme.action in LRU_ACTIONS:
            done, spent = self._folios.reclaim(scheme.action, passing)
            return Applied(done // self._unit, passed_bytes // self._unit, busy + spent)
        if not scheme.action.startswith("migrate") or not len(passing):
            return Applied(0, passed_bytes // self._unit, busy)
        # the kernel works the isolated list from its end: high addresses first
        moved = self._folios.migrator.migrate(passing[::-1], scheme.target_nid, self._folios.name)
        return Applied(moved.bytes // self._unit, passed_bytes // self._unit, busy + moved.busy_ns)

    def does_nothing(self, scheme: SchemeState) -> bool:
        """Whether an action needs no folio: statistics of regions without filters for pages."""
        return scheme.action == "stat" and not scheme.filters.ops

    def end_pass(self, scheme: SchemeState) -> None:
        """Forget the scheme's last folio: the next pass may act on it again."""
        scheme.last_applied = None
