"""One process under NUMA balancing: its mappings, its threads, and the pages a scan may arm."""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.balancing.hinting import Hinting
from numasim.balancing.periods import scan_start
from numasim.balancing.scanner import HUGE_BYTES, Scanner, Vma
from numasim.balancing.sharing import Statistics
from numasim.balancing.tasks import Tasks
from numasim.balancing.tunables import Tunables
from numasim.pages import MappingPages, PageSpace


def written_classes(space: PageSpace) -> np.ndarray:
    """bool[C]: classes of pages that some pattern writes to."""
    found = np.zeros(space.nr_classes, bool)
    for compiled in space.patterns.values():
        if compiled.pattern.write > 0:
            found |= compiled.weights.sum(axis=0) > 0
    return found


def vmas_of(space: PageSpace, process: int) -> list[Vma]:
    """Mappings of a process as scans see them.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 2.3 (Linux 7.3.4): explicit memory
    policies do not migrate on fault. Assumption: a file that no pattern writes to is mapped
    read-only.
    """
    written, found = written_classes(space), []
    for index, pages in enumerate(space.mappings):
        if pages.process != process:
            continue
        own = space.mapping_of_class == index
        library = pages.mapping.kind == "file" and not written[own].any()
        skipped = library or pages.mapping.policy.mode != "local"
        found.append(Vma(pages, pages.nr * space.frame_bytes, skipped))
    return found


class AddressSpace:
    """Scans of one process.

    Parameters
    ----------
    stage : Stage
    process : int
    tasks : Tasks
    tunables : Tunables
    spared : bool[N]
        Nodes on which pages are armed only in mode bit 1: those of the top tiers.
    now_ns : int
    """

    def __init__(
        self, stage: Stage, process: int, tasks: Tasks, tunables: Tunables, spared: np.ndarray,
        now_ns: int,
    ) -> None:  # fmt: skip
        self._stage, self.process, self.tasks, self._spared = stage, process, tasks, spared
        self.statistics = Statistics(tasks, len(stage.topology.nodes))
        self.scanner = Scanner(vmas_of(stage.space, process), now_ns)
        self._noticed = False
        self._by_start = {vma.pages.first: vma for vma in self.scanner.vmas}
        self._firsts = np.array(sorted(self._by_start), np.int64)
        classes = np.arange(stage.space.nr_classes)
        mappings = stage.space.mapping_of_class[classes]
        owner = np.array([m.process for m in stage.space.mappings])
        self._own_class = owner[mappings] == process
        kinds = np.array([m.mapping.kind == "file" for m in stage.space.mappings])
        self._dirty = kinds[mappings] & written_classes(stage.space)
        self._per = stage.memory.pages_per_frame
        self.armed = self.looked = self.flushes = self.updates = 0
        self.looked_ns = now_ns

    def start_period_ms(self, tunables: Tunables) -> int:
        """Period of a thread that is due for the first time, ms."""
        return scan_start(self.rss_pages(), tunables)

    def may_scan(self, now_ns: int, tunables: Tunables) -> bool:
        """Whether a thread that is due may scan; the first one ever only starts the delay.

        Notes
        -----
        Source: recordings E6_nb2: the first scan of a program that had run for 26 s came one scan
        delay after NUMA balancing was switched on. The delay of a program's own memory begins with
        the first thread that is due, not with the program (as for memory that it was forked with).
        """
        if not self._noticed:
            self._noticed = True
            self.scanner.next_ns = now_ns + tunables.scan_delay_ms * 1_000_000
        return now_ns >= self.scanner.next_ns

    def rss_pages(self) -> int:
        """Resident 4 KiB pages."""
        counts = self._stage.migrator.node_counts.sum(axis=0)
        return int(counts[self._own_class].sum()) * self._per

    def touched_by(self, heads: np.ndarray, bits: np.ndarray) -> None:
        """Threads (pid bits, uint64[N]) faulted on pages: their mappings remember them."""
        own = np.searchsorted(self._firsts, heads, "right") - 1
        for k in np.flatnonzero(np.bincount(own, minlength=len(self._firsts))).tolist():
            vma = self._by_start[int(self._firsts[k])]
            vma.recent |= int(np.bitwise_or.reduce(bits[own == k]))

    def scan(
        self, now_ns: int, task: int, hinting: Hinting, tunables: Tunables, access_ms: np.ndarray,
        now_ms: int,
    ) -> None:  # fmt: skip
        """One scan on behalf of a thread; what it did is counted in `armed` and so on.

        Parameters
        ----------
        now_ns, task : int
        hinting : Hinting
        tunables : Tunables
        access_ms : int32[P]
            Access times of pages; written for slow ones where the mode keeps them.
        now_ms : int
        """
        self.armed = self.looked = self.flushes = self.updates = 0
        alone = int(self.tasks.node[task]) if len(self.tasks) == 1 else -1

        def arm(pages: MappingPages, first: int, last: int) -> int:
            return self._arm(pages, first, last, hinting, tunables, alone, access_ms, now_ms)

        tid = int(self.tasks.tid[task])
        self.scanner.scan(now_ns, tid, len(self.tasks), tunables, arm)

    def _arm(
        self, pages: MappingPages, first: int, last: int, hinting: Hinting, tunables: Tunables,
        alone: int, access_ms: np.ndarray, now_ms: int,
    ) -> int:  # fmt: skip
        """Arm what may be armed in some bytes of a mapping; 4 KiB pages armed."""
        space, frame = self._stage.space, self._stage.space.frame_bytes
        own = np.arange(pages.first + first // frame, pages.first + -(-last // frame))
        plain = pages.folio_pages == 1 and space.huge is None
        heads = own if plain else own[space.folio_heads(own) == own]
        nodes = self._stage.nodes_of(heads)
        there = nodes >= 0
        heads, nodes = heads[there], nodes[there]
        sizes = space.pages_per_bit[space.class_of[heads]] * self._per
        huge = sizes * 4096 >= HUGE_BYTES
        self.looked += int(np.where(huge, 1, sizes).sum())
        good = ~hinting.is_armed(heads, nodes) & ~self._dirty[space.class_of[heads]]
        if not tunables.normal:
            good &= ~self._spared[nodes]
        if alone >= 0 and pages.mapping.kind == "anonymous":
            good &= nodes != alone
        heads, nodes, sizes = heads[good], nodes[good], sizes[good]
        if not len(heads):
            return 0
        hinting.arm(heads, nodes)
        if tunables.tiering:
            slow = heads[~self._spared[nodes]]
            access_ms[slow] = now_ms
        self.flushes += 1
        self.armed += int(np.where(huge[good], 1, sizes).sum())
        self.updates += int(sizes.sum())
        return int(sizes.sum())
