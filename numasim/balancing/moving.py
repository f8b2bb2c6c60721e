"""Migration on a hint fault: whether there is room, the move itself, what it puts on the wires."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from numasim.agents import Stage
from numasim.balancing.batch import Batch
from numasim.balancing.promotion import enough_pages
from numasim.balancing.tunables import Tunables
from numasim.reclaim.reclaimer import Reclaimer, Thread


class Moving:
    """Moves pages for faulting threads, which wait for it.

    Parameters
    ----------
    stage : Stage
    name : str
        For loads and moves.
    mark : str
        The watermark that a node has to keep for a page to come.

    Attributes
    ----------
    migrated, failed, promoted : int
        4 KiB pages so far; failures count once per folio and page of it.
    waits : bool
        Whether it moved something that has not been on the wires yet.
    """

    def __init__(self, stage: Stage, name: str, mark: str = "high") -> None:
        self._stage, self._name, self._mark = stage, name, mark
        self.migrated = self.failed = self.promoted = 0
        self.waits = self._loads = False

    # -- room --------------------------------------------------------------------------------------

    def _room(self, target: int, mark: str, more_pages: int = 0) -> int:
        """4 KiB pages that the best zone of a node has free above a mark (and `more_pages`)."""
        per = self._stage.memory.pages_per_frame
        found = [
            (zone.free - getattr(zone.marks, mark) - zone.reserve - zone.kept) * per - more_pages
            for zone in self._stage.memory.zones_of_node(target)
        ]
        return max(found, default=0)

    def free_pass(self, target: int, nr: np.ndarray) -> int:
        """How many faults, one after the other, find so much room that latency is no matter.

        Parameters
        ----------
        target : int
        nr : int64[N]
            4 KiB pages of each.

        Notes
        -----
        Source: numa-balancing-tiering specification, section 3.1 (Linux 7.3.4).
        """
        enough = enough_pages(self._stage.topology.nodes[target].capacity // 4096)
        room = self._room(target, "promo", enough)
        taken = np.cumsum(nr) - nr
        return int(np.count_nonzero(taken < room))

    def _threads(self) -> Sequence[Thread]:
        residents = self._stage.migrator.residents
        return residents.threads if isinstance(residents, Reclaimer) else ()

    def _fitting(self, nr: np.ndarray, target: int) -> int:
        """How many folios (of int64[N] pages), one after the other, find the watermark kept.

        Free pages do not change while a CPU hands out what it has in hand.
        """
        memory, room = self._stage.memory, self._room(target, self._mark)
        if not len(nr) or room <= nr[0]:
            return 0
        single = nr == memory.pages_per_frame
        if single[0]:
            return min(memory.in_hand(target, "move"), int(np.argmin(np.r_[single, False])))
        return int(np.searchsorted(np.cumsum(np.where(single, room, nr)), room))

    def cut_ns(self, now_ns: int) -> float:
        """Just before a kswapd at work goes on: what it frees then, no earlier fault finds."""
        for thread in self._threads():
            if thread.busy_until_ns <= now_ns + 1:
                thread.catch_up(now_ns + 1)
        return min((thread.busy_until_ns - 1 for thread in self._threads()), default=math.inf)

    def _refused(self, batch: Batch, left: np.ndarray, target: int, tiering: bool) -> int:
        """A fault finds no room: which of those left (int64[N]), itself the first, may find some.

        kswapd, which it wakes in tiering, works meanwhile for as long as there are faults to come.
        """
        sizes, times = batch.nr[left], batch.time_ns[left]
        least, at_ns = int(sizes[1:].min(initial=sizes[0])), int(times[0])
        if tiering:
            self._stage.memory.wake_kswapd(target)
            threads = self._threads()
            while threads:
                threads[target].catch_up(at_ns)
                until_ns = threads[target].busy_until_ns
                if self._room(target, self._mark) > least or until_ns > int(times[-1]):
                    break
                at_ns = int(until_ns)
        later = max(1, int(np.searchsorted(times, at_ns)))
        fits = np.flatnonzero(sizes[later:] < self._room(target, self._mark))
        return later + int(fits[0]) if len(fits) else len(left)

    # -- moves -------------------------------------------------------------------------------------

    def migrate(
        self, batch: Batch, wanted: np.ndarray, top: np.ndarray, tunables: Tunables
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move the folios wanted (bool[N]) to the CPUs that faulted.

        Parameters
        ----------
        batch : Batch
        wanted : bool[N]
        top : bool[nodes]
        tunables : Tunables

        Returns
        -------
        failed : bool[N]
        busy_ns : float64[A]
            What each actor's threads waited.

        Notes
        -----
        Source: numa-balancing-tiering specification, section 3 (Linux 7.3.4).
        """
        failed = wanted.copy()
        busy = np.zeros(len(self._stage.actors))
        for target in np.unique(batch.target[wanted]).tolist():
            left = np.flatnonzero(wanted & (batch.target == target))
            while len(left):
                fits = self._fitting(batch.nr[left], target)
                if fits:
                    done = self._move(batch, left[:fits], target, busy)
                    failed[done] = False
                    up = done[~top[batch.source[done]] & top[target]]
                    if tunables.tiering:
                        self.promoted += int(batch.nr[up].sum())
                    left = left[fits:]
                else:
                    left = left[self._refused(batch, left, target, tunables.tiering) :]
        self.failed += int(batch.nr[failed].sum())
        return failed, busy

    def _move(self, batch: Batch, going: np.ndarray, target: int, busy: np.ndarray) -> np.ndarray:
        """Move some folios (int64[N]) while actors wait, in `busy` (float64[A]); those that did."""
        space = self._stage.space  # kswapd may have taken some of them meanwhile
        there = self._stage.nodes_of(batch.head[going]) == batch.source[going]
        going = going[there & (space.folio_heads(batch.head[going]) == batch.head[going])]
        moved = self._stage.migrator.migrate(batch.head[going], target, self._name, split=False)
        done: np.ndarray = going[np.isin(batch.head[going], moved.pages)]
        self.waits |= len(done) > 0
        self._pay(batch, done, target, busy)
        self.migrated += int(batch.nr[done].sum())
        return done

    def _pay(self, batch: Batch, done: np.ndarray, target: int, busy: np.ndarray) -> None:
        """Add to what actors waited (float64[A]) the migration of some folios."""
        for source, nr in np.unique(np.stack([batch.source[done], batch.nr[done]]), axis=1).T:
            own = done[(batch.source[done] == source) & (batch.nr[done] == nr)]
            cost = self._stage.migrator.cost_of(int(source), target, int(nr).bit_length() - 1)
            np.add.at(busy, batch.actor[own], float(cost))

    def on_the_wires(self, span_ns: int) -> bool:
        """Let what was moved since the last call load nodes and links for `span_ns` from now on.

        Returns
        -------
        bool
            Whether the load changed.
        """
        moved, self.waits = self.waits, False
        changed = moved or self._loads
        if self._loads:
            self._stage.end_work(self._name)
        if moved:
            self._stage.begin_work(self._name, span_ns, 0.0, batch=1, flush=0.0)
        self._loads = moved
        unloaded = [thread.unload(span_ns) for thread in self._threads()]
        return changed or any(unloaded)
