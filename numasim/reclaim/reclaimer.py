"""Reclaim of one machine: what scanning finds cold is demoted, swapped out, or put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from numasim.agents import Stage
from numasim.kernel import KernelSettings
from numasim.reclaim.mglru import MultiGen
from numasim.reclaim.records import ANON, FILE, Isolated, Lru, Records
from numasim.reclaim.swap import Swap
from numasim.reclaim.tiers import memory_tiers
from numasim.reclaim.two_lists import TwoLists

COUNTERS = ("pgscan", "pgsteal", "pgdemote")
DEFAULT_PRIORITY, CLUSTER = 12, 32


@dataclass(frozen=True)
class Work:
    """What some reclaim did: pages scanned and reclaimed (frames), and the time that it took."""

    scanned: int = 0
    reclaimed: int = 0
    busy_ns: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.scanned + other.scanned,
            self.reclaimed + other.reclaimed,
            self.busy_ns + other.busy_ns,
        )


class Thread(Protocol):
    """A kswapd, for who goes through a span afterwards and lets it work at its instants."""

    @property
    def busy_until_ns(self) -> float:
        """When the slice in progress ends; infinite while it naps or sleeps."""

    def catch_up(self, now_ns: int) -> None:
        """Do all that is due by an instant."""

    def unload(self, span_ns: int) -> bool:
        """What was moved so is on the wires for so long from now; whether loads change."""
        ...


class Reclaimer:
    """Lists of all nodes, and what is done with folios that are taken off them.

    Parameters
    ----------
    stage : Stage
    kernel : KernelSettings

    Attributes
    ----------
    demotion : bool
        ``numa/demotion_enabled``, as it is now.
    swappiness : int
    swap : Swap or None
    counts : dict of str to int
        Counters by their names in /proc/vmstat, pages of 4 KiB.
    forget : callable or None
        Told of folios (int64[N]) that leave their node.
    put_back : callable or None
        ``put_back(heads, cause, now_ns)`` demotes what has a copy below already: folios left to
        demote, and the time it took.
    threads : sequence of Thread
        kswapd of each node.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 5.2 (Linux 7.3.4). Assumption: pages of
    files can be demoted but not dropped, as nothing says what reading them again would cost.
    """

    def __init__(self, stage: Stage, kernel: KernelSettings) -> None:
        self.stage, self.demotion, self.swappiness = stage, kernel.demotion, kernel.swappiness
        self.tiers = memory_tiers(stage.topology)
        self._rng = stage.seeds.stream("reclaim/target")
        rng = stage.seeds.stream("reclaim/bits")
        self.records = Records(stage.space, stage.law, stage.memory, rng)
        self._of_file = self.records.file_class
        nodes = range(len(stage.topology.nodes))
        self.lrus: list[Lru] = [
            MultiGen(self.records, n, self.present)
            if kernel.lru == "mglru"
            else TwoLists(self.records, n, self._room)
            for n in nodes
        ]
        self.forget: Callable[[np.ndarray], None] | None = None
        self.put_back: Callable[[np.ndarray, str, int], tuple[np.ndarray, int]] | None = None
        self.threads: Sequence[Thread] = ()
        self._direct_ns = 0
        self.now_ns = 0  # of the act in progress; its work lies ahead of that
        self.swap = None if kernel.swap is None else Swap(stage, kernel.swap, self.lrus)
        self.counts = {f"{name}_{who}": 0 for name in COUNTERS for who in ("kswapd", "direct")}
        self.counts |= {"pgscan_proactive": 0, "pgsteal_proactive": 0, "allocstall": 0}
        stage.migrator.residents = self
        stage.law.before_reading = self.settle

    # -- what it knows -----------------------------------------------------------------------------

    def present(self, nid: int) -> np.ndarray:
        """int64[2]: pages of a node by kind."""
        counts = self.stage.migrator.node_counts[nid]
        file = int(counts[self._of_file].sum())
        return np.array([int(counts.sum()) - file, file])

    def _room(self, nid: int) -> tuple[int, int]:
        memory, per = self.stage.memory, self.stage.memory.pages_per_frame
        high = sum(zone.marks.high for zone in memory.zones_of_node(nid))
        return memory.free_frames(nid) * per, high * per

    def kinds(self, nid: int) -> tuple[int, ...]:
        """Kinds of pages that can be reclaimed on a node now."""
        if self.demotion and self.tiers.lower[nid]:
            return (ANON, FILE)
        return (ANON,) if self.swap is not None and self.swap.free_pages > 0 else ()

    def lru_pages(self) -> tuple[int, int]:
        """Active and inactive pages (4 KiB) of the machine."""
        per = self.stage.memory.pages_per_frame
        pairs = [lru.pages() for lru in self.lrus]
        return per * sum(a for a, _ in pairs), per * sum(i for _, i in pairs)

    def are_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these present folios count as active."""
        nodes, found = self.stage.nodes_of(heads), np.zeros(len(heads), bool)
        for nid in np.flatnonzero(np.bincount(nodes)).tolist():
            found[nodes == nid] = self.lrus[nid].are_active(heads[nodes == nid])
        return found

    @property
    def stall_us(self) -> int:
        """For how long some task has waited for memory: in direct reclaim, or for swap."""
        waited = self._direct_ns + (0.0 if self.swap is None else self.swap.some_ns)
        return int(waited // 1000)

    # -- being told --------------------------------------------------------------------------------

    def arrive(self, heads: np.ndarray, nodes: np.ndarray) -> None:
        """Folios are on these nodes from now on."""
        for nid, nr in enumerate(np.bincount(nodes).tolist()):
            if nr:
                self.lrus[nid].arrive(heads if nr == len(heads) else heads[nodes == nid])

    def leave(self, heads: np.ndarray, nodes: np.ndarray, freed: bool) -> None:
        """Folios go from these nodes."""
        if self.forget is not None:
            self.forget(heads)
        for nid in np.flatnonzero(np.bincount(nodes)).tolist():
            own = heads[nodes == nid]
            (self.lrus[nid].forget if freed else self.lrus[nid].leave)(own)

    def split(self, heads: np.ndarray, pages: np.ndarray, sizes: np.ndarray) -> None:
        """Folios become base pages, which are as they were."""
        flags = self.records.flags
        flags[pages] = np.repeat(flags[heads], sizes)

    def settle(self, heads: np.ndarray) -> None:
        """Somebody else is about to read these folios' bits."""
        nodes = self.stage.nodes_of(heads)
        for nid in np.flatnonzero(np.bincount(nodes[nodes >= 0])).tolist():
            self.lrus[nid].settle(heads[nodes == nid])

    # -- doing -------------------------------------------------------------------------------------

    def scan(
        self, nid: int, nr_pages: int, priority: int, who: str, now_ns: int, most: int | None = None
    ) -> Work:
        """Scan about so many pages of a node and reclaim what is cold.

        Parameters
        ----------
        nid : int
        nr_pages : int
        priority : int
        who : str
            ``kswapd`` or ``direct``, for counters.
        now_ns : int
        most : int, optional
            Pages to reclaim; a multi-generational LRU leaves further cold ones where they were.

        Returns
        -------
        Work
        """
        costs, per = self.stage.costs, self.stage.memory.pages_per_frame
        lru = self.lrus[nid]
        found = lru.isolate(nr_pages, self.kinds(nid), priority, now_ns)
        if most is not None and isinstance(lru, MultiGen):
            found = lru.kept(found, most)
        busy = found.checked * costs.young_check + found.walked * costs.pte_scan
        self.counts[f"pgscan_{who}"] += found.scanned * per
        reclaimed, spent = self._reclaim(found, nid, who)
        self.counts[f"pgsteal_{who}"] += reclaimed * per
        return Work(found.scanned, reclaimed, busy + spent)

    def _reclaim(self, found: Isolated, nid: int, who: str) -> tuple[int, int]:
        """Demote isolated folios, or swap them out; frames reclaimed and time."""
        left, reclaimed, busy = found.heads, 0, 0
        if self.demotion and len(left):
            left, reclaimed, busy = self._demote(left, nid, who)
        if len(left) and self.swap is not None:
            left, freed, spent = self.swap_out(left, nid)
            reclaimed, busy = reclaimed + freed, busy + spent
        if len(left):
            self.lrus[nid].put_back(left)
        return reclaimed, busy

    def _demote(self, heads: np.ndarray, nid: int, who: str) -> tuple[np.ndarray, int, int]:
        """Move folios down; those that found no room, frames moved, time."""
        stage, moved, busy = self.stage, 0, 0
        order = self.tiers.demotion_order(nid, stage.topology.node_distances, self._rng)
        cause = f"kswapd{nid}" if who == "kswapd" else "direct reclaim"
        if self.put_back is not None:
            before = self.records.nr_pages(heads)
            heads, busy = self.put_back(heads, cause, self.now_ns)
            moved = before - self.records.nr_pages(heads)
            order = order if len(heads) else []
        for target in order:
            sizes = self.records.sizes(heads)
            done = stage.migrator.migrate(heads, target, cause)
            moved, busy = moved + len(done.pages), busy + done.busy_ns
            if done.complete:
                heads = heads[:0]
                break
            heads = self._still_on(heads, sizes, nid)
        self.counts[f"pgdemote_{who}"] += moved * stage.memory.pages_per_frame
        return heads, moved, busy

    def _still_on(self, heads: np.ndarray, sizes: np.ndarray, nid: int) -> np.ndarray:
        """Folios of `heads`, then of so many pages, or what they are now, that are on a node."""
        if (sizes > 1).any():
            ends = np.cumsum(sizes)
            pages = np.repeat(heads - (ends - sizes), sizes) + np.arange(ends[-1])
            heads = np.unique(self.stage.space.folio_heads(pages))
        left: np.ndarray = heads[self.stage.nodes_of(heads) == nid]
        return left

    def swap_out(self, heads: np.ndarray, nid: int) -> tuple[np.ndarray, int, int]:
        """Put anonymous folios into swap; those that stay, frames freed, time."""
        if self.swap is None:
            return heads, 0, 0
        anon, file = self.records.by_kind(heads)
        before = self.stage.memory.free_frames(nid)
        left, busy = self.swap.put(anon, nid, self.now_ns)
        nr = self.records.nr_pages(anon) - self.records.nr_pages(left)
        self.lrus[nid].note_reclaimed(ANON, nr)
        freed = max(0, self.stage.memory.free_frames(nid) - before)
        return np.r_[left, file], freed, busy

    def act(self, action: str, heads: np.ndarray, now_ns: int) -> tuple[int, int]:
        """Do what DAMOS says with present folios; pages on which it succeeded, and time, ns.

        Parameters
        ----------
        action : str
            ``pageout`` (into swap, whatever demotion says and bits tell), ``cold`` and
            ``lru_deprio`` (next to be reclaimed) or ``lru_prio`` (last).
        heads : int64[N]
        now_ns : int

        Notes
        -----
        Source: DAMON operations specification, section 6 (Linux 7.3.4). Assumption: a folio is put
        on another list in the time of reading one page-table entry.
        """
        nodes, self.now_ns = self.stage.nodes_of(heads), now_ns
        done = busy = 0
        for nid in np.flatnonzero(np.bincount(nodes)).tolist():
            own, lru = heads[nodes == nid], self.lrus[nid]
            if action == "pageout":
                per = self.stage.memory.pages_per_frame
                lru.take_off(own)
                nr = self.records.nr_pages(own)
                left, _, spent = self.swap_out(own, nid)
                lru.put_back(left)
                nr -= self.records.nr_pages(left)
                self.counts["pgscan_proactive"] += len(own) * per
                self.counts["pgsteal_proactive"] += nr * per
                done, busy = done + nr, busy + spent
                continue
            (lru.prioritise if action == "lru_prio" else lru.deprioritise)(own)
            done += self.records.nr_pages(own)
            busy += len(own) * self.stage.costs.pte_scan
        return done, busy

    def direct(self, nodes: Sequence[int], nr: int) -> int:
        """Reclaim in the task that allocates, which it holds up; frames freed.

        Parameters
        ----------
        nodes : sequence of int
        nr : int
            Frames wanted.
        """
        migrator, want = self.stage.migrator, max(nr, CLUSTER)
        self.now_ns = migrator.now_ns
        done = Work()
        for priority in range(DEFAULT_PRIORITY, -1, -1):
            for nid in nodes:
                if done.reclaimed < want:
                    now_ns = migrator.now_ns + done.busy_ns
                    done += self._direct_round(nid, want - done.reclaimed, priority, now_ns)
        self.counts["allocstall"] += -(-max(nr, 1) // CLUSTER)
        migrator.stall_ns += done.busy_ns
        self._direct_ns += done.busy_ns
        return done.reclaimed

    def _direct_round(self, nid: int, want: int, priority: int, now_ns: int) -> Work:
        kinds, done = self.kinds(nid), Work()
        if not kinds:
            return done
        left = self.lrus[nid].begin(priority, kinds, self.swappiness)
        least = CLUSTER
        while left > 0 and done.reclaimed < want:
            step = min(left, max(least, want - done.reclaimed))
            one = self.scan(nid, step, priority, "direct", now_ns + done.busy_ns)
            done, left = done + one, left - step
            least = CLUSTER if one.reclaimed else 2 * least
        return done
