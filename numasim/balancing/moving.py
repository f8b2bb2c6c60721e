"""Migration on a hint fault: whether there is room, the move itself, what it puts on the wires."""

from __future__ import annotations

import numpy as np

from numasim.agents import Stage
from numasim.balancing.batch import Batch
from numasim.balancing.promotion import enough_pages
from numasim.balancing.tunables import Tunables


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
    busy : bool
        Whether what it moved last is on the wires.
    """

    def __init__(self, stage: Stage, name: str, mark: str = "high") -> None:
        self._stage, self._name, self._mark = stage, name, mark
        self.migrated = self.failed = self.promoted = 0
        self.busy = self._moved = False

    # -- room --------------------------------------------------------------------------------------

    def _room(self, target: int, mark: str, more_pages: int = 0) -> int:
        """4 KiB pages that the best zone of a node has free above a mark (and `more_pages`)."""
        per = self._stage.memory.pages_per_frame
        found = [
            (zone.free - getattr(zone.marks, mark) - zone.reserve - zone.kept) * per - more_pages
            for zone in self._stage.memory.zones_of_node(target)
        ]
        return max(found, default=0)

    def scarce(self, top: np.ndarray) -> int | None:
        """4 KiB pages that fast nodes can take before reclaim has to make room; None: no matter.

        Parameters
        ----------
        top : bool[nodes]
        """
        if self._stage.memory.kswapd is None:
            return None
        return min((self._room(int(n), self._mark) for n in np.flatnonzero(top)), default=None)

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

    def _admitted(self, nr: np.ndarray, room: int) -> np.ndarray:
        """bool[N]: folios that find the watermark kept, one after the other."""
        if len(nr) and (nr == nr[0]).all():
            one = int(nr[0])
            fits = max(0, -(-(room - one) // one))
            return np.arange(len(nr)) < fits
        found = np.zeros(len(nr), bool)
        for i, size in enumerate(nr.tolist()):
            found[i] = room > size
            room -= size * found[i]
        return found

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
            own = np.flatnonzero(wanted & (batch.target == target))
            room = self._admitted(batch.nr[own], self._room(target, self._mark))
            if not room.all() and tunables.tiering:
                self._stage.memory.wake_kswapd(target)
            going = own[room]
            if not len(going):
                continue
            moved = self._stage.migrator.migrate(batch.head[going], target, self._name, split=False)
            done = going[np.isin(batch.head[going], moved.pages)]
            failed[done] = False
            self._moved |= len(done) > 0
            self._pay(batch, done, target, busy)
            self.migrated += int(batch.nr[done].sum())
            up = done[~top[batch.source[done]] & top[target]]
            if tunables.tiering:
                self.promoted += int(batch.nr[up].sum())
        self.failed += int(batch.nr[failed].sum())
        return failed, busy

    def _pay(self, batch: Batch, done: np.ndarray, target: int, busy: np.ndarray) -> None:
        """Add to what actors waited (float64[A]) the migration of some folios."""
        for source, nr in np.unique(np.stack([batch.source[done], batch.nr[done]]), axis=1).T:
            own = done[(batch.source[done] == source) & (batch.nr[done] == nr)]
            cost = self._stage.migrator.cost_of(int(source), target, int(nr).bit_length() - 1)
            np.add.at(busy, batch.actor[own], float(cost))

    def on_the_wires(self, now_ns: int, span_ns: int) -> bool:
        """Let what was moved since the last call load nodes and links for `span_ns`.

        Returns
        -------
        bool
            Whether the load changed.
        """
        moved, self._moved = self._moved, False
        changed = moved or self.busy
        if self.busy:
            self._stage.end_work(self._name)
        if moved:
            self._stage.begin_work(self._name, span_ns, 0.0, batch=1, flush=0.0)
        self.busy = moved
        return changed
