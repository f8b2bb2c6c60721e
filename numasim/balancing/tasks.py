"""Threads as the scheduler knows them: their CPU time, and when each is due to scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numasim.actors import ActorState
from numasim.balancing.tunables import Tunables
from numasim.threads import Threads
from numasim.topology import Topology

SCAN_OVERHEAD = 32  # a scan of so much CPU time puts the next one off by that many times it: 3 %
NS_PER_MS = 1_000_000


@dataclass
class Task:
    """What a thread is to NUMA balancing, beside the arrays of `Tasks`.

    Parameters
    ----------
    tid, cpu, node : int
        Its CPU's node is the nearest one.
    actor : int
    """

    tid: int
    cpu: int
    node: int
    actor: int


class Tasks:
    """CPU threads of one process.

    Parameters
    ----------
    actors : list of ActorState
        Of the process, those that run on CPUs.
    threads : list of Threads
        Of every actor of the run.
    topology : Topology
    tunables : Tunables
    now_ns : int

    Attributes
    ----------
    runtime_ns, stamp_ns : float64[T]
        CPU time so far, and the stamp after which, by one period, a thread is due to scan.
    period_ms : int64[T]
    of_actor : dict of int to int64[K]
        Tasks of each actor.

    Notes
    -----
    Source: numa-balancing-tiering specification, section 2.1 (Linux 7.3.4).
    Assumption: threads of an actor that runs are on their CPUs for the time that its pace leaves
    them; actors of one process whose progress was measured are lines of one thread. A process that
    is there already when balancing begins has run since its present phase began.
    """

    def __init__(
        self,
        actors: list[ActorState],
        threads: list[Threads],
        topology: Topology,
        tunables: Tunables,
        now_ns: int,
    ) -> None:
        self._actors, self._since_ns = actors, now_ns
        self._tick_ns = 1_000_000_000 // topology.kernel.hz
        self.tasks: list[Task] = []
        self.of_actor: dict[int, np.ndarray] = {}
        measured: np.ndarray | None = None
        for actor in actors:
            if actor.course is not None and measured is not None:
                self.of_actor[actor.index] = measured
                continue
            own, node = threads[actor.index], topology.tiers(actor.accessor)[0]
            first = len(self.tasks)
            for tid, cpu in zip(own.tids.tolist(), own.cpus.tolist(), strict=True):
                self.tasks.append(Task(tid, cpu, node, actor.index))
            self.of_actor[actor.index] = np.arange(first, len(self.tasks))
            if actor.course is not None:
                measured = self.of_actor[actor.index]
        nr = len(self.tasks)
        self.tid = np.array([t.tid for t in self.tasks], np.int64)
        self.cpu = np.array([t.cpu for t in self.tasks], np.int64)
        self.node = np.array([t.node for t in self.tasks], np.int64)
        began = [min((a.phase_start_ns for a in actors if a.entered), default=now_ns)] * nr
        self.runtime_ns = np.maximum(now_ns - np.array(began, float), 0.0)
        self.period_ms = np.full(nr, tunables.scan_delay_ms, np.int64)
        self.fresh = np.ones(nr, bool)  # has its first period still
        users = np.arange(1, nr + 1)
        most = tunables.scan_period_max_ms
        stagger = np.minimum(most, tunables.scan_delay_ms * users) * NS_PER_MS + 2 * self._tick_ns
        self.stamp_ns = np.where(users == 1, 0.0, stagger)

    def __len__(self) -> int:
        """Threads."""
        return len(self.tasks)

    @property
    def tick_ns(self) -> int:
        """Between two ticks of the scheduler."""
        return self._tick_ns

    def advance(self, now_ns: int) -> None:
        """Let CPU time pass up to now."""
        span, self._since_ns = now_ns - self._since_ns, now_ns
        self.runtime_ns += self._busy() * span

    def _busy(self) -> np.ndarray:
        """float64[T]: part of its time that each thread is on its CPU now."""
        busy = np.zeros(len(self.tasks))
        for actor in self._actors:
            own = self.of_actor[actor.index]
            busy[own] = np.maximum(busy[own], _busy_share(actor))
        return busy

    def due(self, ticks: int, start_ms: int) -> np.ndarray:
        """Threads that a tick finds due (int64[K]), whose stamps move on.

        Parameters
        ----------
        ticks : int
            That have passed since the last look: a stamp moves on one period a tick.
        start_ms : int
            Period of a thread that is due for the first time.
        """
        period_ns = self.period_ms * float(NS_PER_MS)
        found = np.flatnonzero(self.runtime_ns > self.stamp_ns + period_ns)
        if not len(found):
            return found
        new = found[self.fresh[found]]
        self.period_ms[new], self.fresh[new] = start_ms, False
        behind = (self.runtime_ns - self.stamp_ns)[found] - period_ns[found]
        later_ns = self.period_ms[found] * float(NS_PER_MS)
        more = np.clip(np.ceil(behind / later_ns) - 1, 0, max(ticks, 1) - 1)
        self.stamp_ns[found] += period_ns[found] + more * later_ns
        return found

    def adapt(self, task: int, period_ms: int) -> None:
        """A thread's period is another from now on."""
        self.period_ms[task], self.fresh[task] = period_ms, False

    def scanned(self, task: int, cost_ns: float) -> None:
        """A thread has scanned: another one shall win next time, and 3 % of a CPU are enough."""
        self.stamp_ns[task] += 2 * self._tick_ns + SCAN_OVERHEAD * cost_ns

    def next_due_ns(self, now_ns: int) -> float:
        """When the first thread is due at the present speeds, on a tick; infinite if never."""
        busy = self._busy()
        runs = np.flatnonzero(busy > 0)
        if not len(runs):
            return math.inf
        left = (self.stamp_ns + self.period_ms * float(NS_PER_MS) - self.runtime_ns)[runs]
        at = now_ns + max(float((left / busy[runs]).min()), 0.0)
        return (math.floor(at / self._tick_ns) + 1) * self._tick_ns


def _busy_share(actor: ActorState) -> float:
    if actor.state not in ("populating", "running"):
        return 0.0
    phase = actor.current
    if actor.course is not None or actor.state == "populating" or phase.pace is None or phase.spins:
        return 1.0
    return min(1.0, actor.rate_per_ns * float(actor.op_ns[0]) / actor.actor.threads)
