"""What an operations set knows of folios: which filter holds for them, and how they are moved.

Common to physical and virtual address operations. Source: DAMON operations specification, sections
5 and 6 (Linux 7.3.4).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from numasim.damon.filters import ops_pass
from numasim.damon.schemes import SchemeState
from numasim.damon.spec import Filter

if TYPE_CHECKING:
    from numasim.law import Law
    from numasim.migration import Migrator
    from numasim.pages import PageSpace

SCORES = {"pageout": "cold", "migrate_hot": "hot", "migrate_cold": "cold"}
LRU_ACTIONS = ("pageout", "lru_prio", "lru_deprio", "cold")
"""What reclaim does, rather than the migrator."""
HUGE_ACTIONS = ("hugepage", "nohugepage", "collapse")
"""What madvise() does about huge pages."""
RUNNABLE = {
    "paddr": ("migrate_hot", "migrate_cold", "pageout", "lru_prio", "lru_deprio", "stat"),
    "vaddr": ("migrate_hot", "migrate_cold", "pageout", "cold", *HUGE_ACTIONS, "stat"),
}
FUTILE = {
    "paddr": ("cold", "willneed", *HUGE_ACTIONS),
    "vaddr": ("lru_prio", "lru_deprio"),
}
"""What the kernel takes too, and tries on regions without any effect."""
RUNNABLE_FILTERS = (
    "anon",
    "active",
    "memcg",
    "young",
    "hugepage_size",
    "unmapped",
    "addr",
    "target",
)


class Folios:
    """Folios of the simulated memory, as schemes of one context judge and move them.

    Parameters
    ----------
    space : PageSpace
    law : Law
    migrator : Migrator
    cgroup_of_process : list of str
    young_check_ns : int
        CPU time of testing one folio in a young filter.
    rng : numpy.random.Generator
        Stream of the context's young tests.
    name : str
        Kdamond's name; with the scheme's position it is the cause in the ledger.
    """

    def __init__(
        self,
        space: PageSpace,
        law: Law,
        migrator: Migrator,
        cgroup_of_process: list[str],
        young_check_ns: int,
        rng: np.random.Generator,
        name: str,
    ) -> None:
        self.space, self.law, self.migrator = space, law, migrator
        self._anon = np.array([m.mapping.kind == "anonymous" for m in space.mappings])
        self._cgroup = np.array([cgroup_of_process[m.process] for m in space.mappings])
        self._young_check_ns, self._rng, self.name = young_check_ns, rng, name
        self.now_ns = 0
        self.busy_ns = 0

    def heads_of(self, pages: np.ndarray, skip: int | None) -> np.ndarray:
        """Folios that hold these pages, in the pages' order, each once; `skip` is left out.

        Parameters
        ----------
        pages : int64[N]
            Present pages; those of one folio side by side.
        skip : int or None
            Head of the folio looked at last.
        """
        heads = self.space.folio_heads(pages)
        if len(heads) > 1:
            heads = heads[np.r_[True, heads[1:] != heads[:-1]]]
        return heads[1:] if len(heads) and skip is not None and heads[0] == skip else heads

    def passed(self, scheme: SchemeState, heads: np.ndarray, now_ns: int) -> np.ndarray:
        """bool[F]: which folios pass the scheme's filters; young ones tested are made old."""
        self.now_ns, filters = now_ns, scheme.filters
        if scheme.action == "pageout" and not any(f.type == "young" for f in filters.ops):
            # paging out leaves young folios alone whatever the user says
            filters = replace(filters, ops=(*filters.ops, Filter("young", True, False)))

        def condition(one: Filter, asked: np.ndarray) -> np.ndarray:
            holds = np.zeros(len(heads), bool)
            holds[asked] = self._holds(one, heads[asked])
            return holds

        return ops_pass(filters, condition, scheme.core_filters_allowed, len(heads))

    def reclaim(self, action: str, heads: np.ndarray) -> tuple[int, int]:
        """Let reclaim act on folios (int64[F]); bytes on which that succeeded, and time, ns."""
        residents = self.migrator.residents
        if residents is None or not len(heads):
            return 0, 0
        pages, busy = residents.act(action, heads, self.now_ns)
        return pages * self.space.frame_bytes, busy

    def _holds(self, one: Filter, heads: np.ndarray) -> np.ndarray:
        if one.type == "young":
            self.busy_ns += len(heads) * self._young_check_ns
            return self.law.test_and_clear_young(heads, self.now_ns, self._rng)
        if one.type == "anon":
            anon: np.ndarray = self._anon[self.space.mapping_index_of(heads)]
            return anon
        if one.type == "active":
            residents = self.migrator.residents
            assert residents is not None  # see `experimenter.agents_of_kernel`
            return residents.are_active(heads)
        if one.type == "memcg":
            own: np.ndarray = self._cgroup[self.space.mapping_index_of(heads)] == one.memcg_path
            return own
        if one.type == "hugepage_size":
            size = self.sizes(heads)
            return (one.min_sz <= size) & (size <= one.max_sz)
        return np.zeros(len(heads), bool)  # unmapped: every page here is mapped

    def madvise(self, action: str, heads: np.ndarray, now_ns: int) -> int:
        """Let reclaim act on folios of a process as it asks for them itself; time, ns."""
        self.now_ns = now_ns
        return self.reclaim(action, heads)[1]

    def sizes(self, heads: np.ndarray) -> np.ndarray:
        """int64[F]: bytes of each folio."""
        pages: np.ndarray = self.space.pages_per_bit[self.space.class_of[heads]]
        return pages * self.space.frame_bytes

    def take_busy_ns(self) -> int:
        """Time spent on filters since last asked."""
        busy, self.busy_ns = self.busy_ns, 0
        return busy
