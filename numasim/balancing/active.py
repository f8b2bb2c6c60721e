"""Promotion by the active list: TPP's rule, two hint faults and no look at watermarks.

Source: policies specification, section 3 (TPP, ASPLOS'23).
"""

from __future__ import annotations

import math

import numpy as np

from numasim.agents import Stage
from numasim.balancing.batch import Batch
from numasim.errors import SimulationError
from numasim.ledger import Residents
from numasim.reclaim.reclaimer import Reclaimer
from numasim.reclaim.tiers import memory_tiers
from numasim.topology import Topology

RECLAIM_CAUSES = ("kswapd", "direct reclaim")


def residents_of(stage: Stage) -> Reclaimer:
    """Reclaim, which a policy that demotes has running.

    Raises
    ------
    SimulationError
        If there is none: whoever has this policy beneath him does not pass its `demotion` on.
    """
    found = stage.migrator.residents
    if not isinstance(found, Reclaimer):
        raise SimulationError("needs reclaim, which does not run", stage.migrator.now_ns, "policy")
    return found


def advice(topology: Topology) -> str:
    """What to know of that rule on a machine; empty if nothing."""
    if topology.kernel.lru == "mglru":
        return "its authors' kernel had active and inactive lists: kernel.lru: active_inactive"
    return ""


class ActiveFirst:
    """A fault on an active slow page promotes it; on an inactive one, it makes it active.

    Parameters
    ----------
    stage : Stage
    residents : Residents
        Reclaim, which knows who is active.
    name : str
    pagevec : int
        Activations that a CPU collects before any of them takes effect; 1: each at once.
    demotion_bp : int
        kswapd of fast nodes keeps so much free, in 1/10000 of a zone.

    Attributes
    ----------
    candidates, from_demoted, activated : int
        4 KiB pages so far: faults on active pages, those of them on pages that reclaim had demoted
        (ping-pong), and pages that a fault made active.
    demoted : bool[P]
        PG_demoted, by first pages of folios.

    Notes
    -----
    Assumption: kswapd of a fast node is woken when it has less free than the demotion mark, as seen
    at every batch of faults. Generations of MGLRU are no lists of active pages, and a slow node
    that never ages has only young ones: with it, a page counts as active if it is in the two
    youngest generations and was activated by a fault since it came.
    """

    mark = "min"
    next_ns = math.inf

    def __init__(
        self, stage: Stage, residents: Residents, name: str, pagevec: int, demotion_bp: int
    ) -> None:
        self._stage, self._residents, self.name = stage, residents, name
        self._pagevec = pagevec
        self.top = np.array(memory_tiers(stage.topology).top)
        self.spared = self.top
        self._fast = np.flatnonzero(self.top).tolist() if not self.top.all() else []
        self._generations = stage.topology.kernel.lru == "mglru"
        self._marked = np.zeros(stage.space.nr_pages, bool)
        self.demoted = np.zeros(stage.space.nr_pages, bool)
        self._waiting: dict[tuple[int, int], np.ndarray] = {}  # by CPU: not active yet
        self.candidates = self.from_demoted = self.activated = 0
        self._before, stage.migrator.watch = stage.migrator.watch, self._placed
        for nid in self._fast:
            stage.memory.demotion_bp[nid] = demotion_bp

    def _placed(self, pages: np.ndarray, frames: np.ndarray, cause: str) -> None:
        """Pages came to frames: whether by demotion is written on them."""
        if self._before is not None:
            self._before(pages, frames, cause)
        down = cause.startswith(RECLAIM_CAUSES)
        self.demoted[pages] = down & ~self.top[self._stage.memory.node_of(frames)]
        self._marked[pages] = False

    def is_active(self, heads: np.ndarray) -> np.ndarray:
        """bool[N]: which of these present folios count as active."""
        found = self._residents.are_active(heads)
        return found & self._marked[heads] if self._generations else found

    def decide(self, batch: Batch, now_ns: int) -> tuple[Batch, np.ndarray]:
        """Faults in order of time: those on active slow pages promote."""
        wanted = np.zeros(len(batch.head), bool)
        up = np.flatnonzero(~self.top[batch.source] & self.top[batch.target])
        active = self.is_active(batch.head[up])
        hot = up[active]
        wanted[hot] = True
        self.candidates += int(batch.nr[hot].sum())
        self.from_demoted += int(batch.nr[hot][self.demoted[batch.head[hot]]].sum())
        self.activate(batch.at(up[~active]), now_ns)
        return batch, wanted

    def activate(self, batch: Batch, now_ns: int) -> None:
        """Make pages active, as soon as their CPU has collected enough of them."""
        cpus = np.stack([batch.actor, batch.task], axis=1)
        full = []
        for actor, task in np.unique(cpus, axis=0).tolist():
            own = batch.head[(batch.actor == actor) & (batch.task == task)]
            joined = np.r_[self._waiting.get((actor, task), own[:0]), own]
            drained = len(joined) // self._pagevec * self._pagevec
            full.append(joined[:drained])
            self._waiting[actor, task] = joined[drained:]
        heads = np.unique(np.concatenate([np.zeros(0, np.int64), *full]))
        heads = heads[self._stage.nodes_of(heads) >= 0]
        heads = heads[self._stage.space.folio_heads(heads) == heads]
        heads = heads[~self.is_active(heads)]
        if len(heads):
            self._residents.act("lru_prio", heads, now_ns)
            self._marked[heads] = True
            space = self._stage.space
            pages = int(space.pages_per_bit[space.class_of[heads]].sum())
            self.activated += pages * self._stage.memory.pages_per_frame

    def tick(self, now_ns: int) -> None:
        """Wake the kswapd of every fast node that has less free than the demotion mark."""
        for nid in self._fast:
            if not self._stage.memory.is_balanced(nid):
                self._stage.memory.wake_kswapd(nid)

    def counters(self) -> dict[str, int]:
        """By the names of TPP's kernel where it has one; 4 KiB pages."""
        return {
            "pgpromote_candidate": self.candidates,
            "pgpromote_candidate_demoted": self.from_demoted,
            "pgactivate": self.activated,
        }
