"""Agents: what a policy has running on the machine beside kdamonds, such as a scanner or kswapd.

An agent knows when it wants to act next and acts when called; it never sees the engine. What
happened between two of its acts it draws from the law, as every observer does, so an agent acts
once per batch of faults or samples and not once per event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from numasim.actors import ActorState
from numasim.kernel import CostSettings
from numasim.law import Law
from numasim.load import MIGRATE_BATCH, Load
from numasim.mapping import Mempolicy
from numasim.memory import Memory
from numasim.migration import Migrator
from numasim.observing import Observing
from numasim.pages import PageSpace
from numasim.seeds import Seeds
from numasim.topology import Topology


class Agent(Protocol):
    """Something that acts on the machine at instants of its own.

    Attributes
    ----------
    name : str
        For loads and moves; different for every agent of a run.
    due_ns : float
        When it acts next; infinite while it sleeps. Whoever wakes it sets an earlier one.
    """

    name: str
    due_ns: float

    def act(self, now_ns: int) -> bool:
        """Do what is due, choose the next `due_ns`; whether speeds have to be found anew."""
        ...

    def settings(self, changed: dict[str, Any]) -> None:
        """Take up sysctls that have been written; names it does not know are others'."""
        ...

    def counters(self) -> dict[str, int]:
        """What it has done so far, by the kernel's names (/proc/vmstat), pages in 4 KiB."""
        ...


@dataclass
class Stage:
    """What agents of one run see and use.

    Parameters
    ----------
    topology : Topology
    memory : Memory
        Read only: who wants a page moved asks `migrator`.
    space : PageSpace
    law : Law
    actors : list of ActorState
    migrator : Migrator
    observing : Observing
        The truth by actor, what observing costs applications (`charge`), counters.
    load : Load
    seeds : Seeds
    policies : dict of int to Mempolicy
        Where first touch puts pages from now on, by the first page of a mapping; agents may change
        it, as `set_mempolicy` does.
    """

    topology: Topology
    memory: Memory
    space: PageSpace
    law: Law
    actors: list[ActorState]
    migrator: Migrator
    observing: Observing
    load: Load
    seeds: Seeds
    policies: dict[int, Mempolicy] = field(default_factory=dict)

    @property
    def costs(self) -> CostSettings:
        """What kernel work takes on this machine."""
        return self.topology.costs

    def begin_work(
        self, name: str, busy_ns: int, cores: float = 1.0, batch: int = MIGRATE_BATCH,
        flush: float = 1.0,
    ) -> None:  # fmt: skip
        """Pages just moved are on the wires for `busy_ns` from now; end it with `end_work`.

        Parameters
        ----------
        name : str
            The agent's.
        busy_ns : int
        cores : float
            CPUs that a thread of its own takes meanwhile; 0 where applications do the work
            themselves, which `Observing.charge` takes from their time.
        batch : int
            Base pages that are unmapped together; at least one folio.
        flush : float
            Flushes of a batch: 0 where translations were flushed before, as of armed pages.
        """
        moved = self.migrator.take_traffic()
        moved.busy_ns = min(moved.busy_ns, busy_ns)  # several threads, or an engine, may copy
        self.load.begin(name, moved, max(1, busy_ns), self.law.all_visits_per_ns(), batch, flush)
        self.load.cores[name] = cores
        if cores:
            self.load.worked_ns[name] = self.load.worked_ns.get(name, 0) + round(busy_ns * cores)

    def end_work(self, name: str) -> None:
        """What it moved has arrived, and it takes no CPU."""
        self.load.end(name)

    def nodes_of(self, pages: np.ndarray) -> np.ndarray:
        """int64[N]: node of each page, -1 where it is absent."""
        frames = self.memory.frame_of[pages].astype(np.int64)
        return np.where(frames >= 0, self.memory.node_of(np.maximum(frames, 0)), -1)
