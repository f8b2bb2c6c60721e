"""What the access sources of one run share, from the moment that one asks for more than bits.

The truth by actor, the threads' numbers, what observing costs whom, hardware that several contexts
read, and the open door `report_access`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from numasim.actor_truth import ActorTruth
from numasim.actors import ActorState
from numasim.damon.report_array import ReportArray
from numasim.damon.reports import Log, Reports, Stream
from numasim.errors import ConfigError
from numasim.memory import Memory
from numasim.migration import Migrator
from numasim.rates import Rates
from numasim.seeds import Seeds
from numasim.threads import Threads, threads_of
from numasim.tolls import Tolls
from numasim.topology import Topology
from numasim.workload import Workload

S = TypeVar("S")


@dataclass
class Tally:
    """What one source did so far.

    Parameters
    ----------
    events : int
        Faults, samples or notifications.
    reports : int
        Of a context: reports that its filters let pass and a check counted.
    lost : int
        Events or reports that nobody will hear of: a buffer or an array was full.
    stall_ns : float
        Thread time taken from applications.
    """

    events: int = 0
    reports: int = 0
    lost: int = 0
    stall_ns: float = 0.0


class Observing:
    """Shared state of the sources of a run.

    Parameters
    ----------
    rates : Rates
    actors : list of ActorState
    workload : Workload
    topology : Topology
    memory : Memory
    migrator : Migrator
    seeds : Seeds
    now_ns : int

    Attributes
    ----------
    truth : ActorTruth
    threads : list of Threads
        Of each actor.
    tolls : Tolls
    tallies : dict
        ``(source, kdamond)``, the latter empty for hardware that all share → `Tally`.
    door : Log
        `damon_report_access()`: what components have reported.
    latency_ns : float64[accessor, node]
        Loaded latencies now.
    numa_balancing : bool
        Whether it is on, so that faults on pages that DAMON armed report nothing.
    shares_faults : bool
        Whether NUMA balancing and DAMON learn from one fault; an extension of ours.
    """

    def __init__(
        self,
        rates: Rates,
        actors: list[ActorState],
        workload: Workload,
        topology: Topology,
        memory: Memory,
        migrator: Migrator,
        seeds: Seeds,
        now_ns: int,
    ) -> None:
        self.truth = ActorTruth(rates, actors, now_ns)
        self.actors, self.topology, self.seeds = actors, topology, seeds
        self.memory, self.migrator = memory, migrator
        self.threads: list[Threads] = threads_of(workload, topology)
        self.tolls = Tolls(actors, now_ns)
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.door = Log()
        self.latency_ns = topology.idle_latency_ns
        self.started_ns = now_ns
        self.numa_balancing = self.shares_faults = False
        self._shared: dict[Any, Any] = {}

    def settled(
        self, now_ns: int, weights: dict[tuple[int, int], list[np.ndarray]], latency_ns: np.ndarray
    ) -> None:
        """The machine has found speeds anew."""
        self.truth.settled(now_ns, weights)
        self.latency_ns = latency_ns

    def shared(self, key: Any, make: Callable[[], S]) -> S:
        """The one thing of that key (hashable) in this run, made when first asked for."""
        if key not in self._shared:
            self._shared[key] = make()
        found: S = self._shared[key]
        return found

    def forget(self, name: str) -> None:
        """A context ended: nothing is kept for it any more."""
        self.door.forget(name)
        for thing in self._shared.values():
            if isinstance(thing, Stream | ReportArray):
                thing.forget(name)

    def tally(self, source: str, kdamond: str = "") -> Tally:
        """The counters of a source."""
        return self.tallies.setdefault((source, kdamond), Tally())

    def charge(self, tally: Tally, events: int, stall_ns: np.ndarray, span_ns: int) -> None:
        """Events of a window happened and took so much thread time of each actor (float64[A])."""
        tally.events += events
        tally.stall_ns += float(stall_ns.sum())
        self.tolls.charge(stall_ns, span_ns)

    def report_access(
        self,
        time_ns: Any,
        page: Any,
        cpu: Any = -1,
        tid: Any = -1,
        is_write: Any = False,
    ) -> None:
        """Report accesses, as any kernel component may (``damon_report_access()``).

        Parameters
        ----------
        time_ns : int or int64[N]
        page : int or int64[N]
            Pages of the workload; `pages_at` finds them by physical address.
        cpu, tid : int or int64[N]
            -1 where that is not known.
        is_write : bool or bool[N]

        Raises
        ------
        ConfigError
            With everything that is no whole number, below zero, no page of the workload, or of
            another length.

        Notes
        -----
        Where no context reads, nothing is kept.
        """
        given = [np.atleast_1d(np.asarray(x)) for x in (time_ns, page, cpu, tid, is_write)]
        sizes = {x.shape for x in given} - {(1,)}
        if len(sizes) > 1 or any(len(size) > 1 for size in sizes):
            raise ConfigError(f"got reports of shapes {sorted(sizes)}, expected one length")
        time, pages, cpus, tids, writes = (x.copy() for x in np.broadcast_arrays(*given))
        if not len(time):
            return
        nothing = np.zeros(len(time), np.int64)
        unknown = np.full(len(time), np.nan)
        made = Reports(time, pages, nothing, cpus, tids, writes, nothing - 1, unknown)
        problems = list(made.problems(len(self.memory.frame_of), self.memory.frame_bytes))
        if problems:
            raise ConfigError(problems, "report_access")
        whole = (x.astype(np.int64) for x in (time, pages, cpus, tids))
        time, pages, cpus, tids = whole
        self.door.add(Reports.of(time, pages, None, cpus, tids, writes))
