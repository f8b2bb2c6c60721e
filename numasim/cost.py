"""How fast the work goes: demands of all actors, on one machine, to throughputs and latencies.

An actor's operation computes, stalls, and misses; a miss costs the loaded latency of its node
divided by how many misses overlap. Loaded latency grows with what everybody puts on the node and
on each link of the path (`queueing.py`), so that speed is the answer of a closed loop. State is
constant between two changes of the world; this module answers for one such stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from numasim.fronts import Actor, Part, mix
from numasim.plumbing import plumb
from numasim.queueing import gamma_quantile
from numasim.topology import Topology

LINE_BYTES = 64
MAX_BACKGROUND = 0.95
"""Share of a resource that background traffic may take; more of it is served more slowly."""

Overlap = Literal["dynamic", "barrier", "serial"]


@dataclass(frozen=True)
class Flow:
    """Misses of one pattern per operation.

    Attributes
    ----------
    lines : float64[N]
        Cache-line misses per operation that go to each node.
    parallelism : float
        Misses of one thread that overlap, capped by the accessor.
    write_ratio : float
        Share of the lines that are written back later.
    overlap : str
        ``dynamic``: misses to all nodes mix; ``barrier``: the slowest node used sets the time;
        ``serial``: a front that is in one node at a time (a sweep).
    """

    lines: np.ndarray
    parallelism: float = 1.0
    write_ratio: float = 0.0
    overlap: Overlap = "dynamic"


@dataclass(frozen=True)
class Demand:
    """What one actor wants.

    Attributes
    ----------
    accessor : int
    threads : float
    compute_ns : float
        Time of an operation that is no waiting for memory.
    flows : tuple of Flow
    pace_per_ns : float
        Most operations per ns (an open arrival rate); infinite by default.
    stall_ns : float
        Extra time per operation: hint faults, interrupts, shootdowns.
    """

    accessor: int
    threads: float = 1.0
    compute_ns: float = 0.0
    flows: tuple[Flow, ...] = ()
    pace_per_ns: float = np.inf
    stall_ns: float = 0.0


@dataclass(frozen=True)
class Background:
    """Traffic that does not wait for anybody, such as migration: bytes per ns at one node.

    Without an accessor it loads the node alone, with one also the way between them.
    """

    node: int
    read_bytes_per_ns: float = 0.0
    write_bytes_per_ns: float = 0.0
    accessor: int | None = None


@dataclass(frozen=True)
class Solution:
    """Speeds and loads of one constant stretch of time.

    Attributes
    ----------
    ops_per_ns : float64[A]
        Throughput of every actor.
    op_ns : float64[A]
        Mean time from start to end of an operation in one thread, time-sharing included.
    op_variance_ns2 : float64[A]
    loaded_latency_ns : float64[accessor, node]
        Of a read; time average where a serial front moves.
    node_read_bytes_per_ns, node_write_bytes_per_ns : float64[N]
    link_bytes_per_ns : float64[L, 2]
        Forward and backward.
    resources : tuple of str
    utilisation : float64[R]
    background_share : float64[B]
        How much of each background flow the machine can serve, at most 1.
    residual : float
        Largest relative error of the fixed point.
    """

    ops_per_ns: np.ndarray
    op_ns: np.ndarray
    op_variance_ns2: np.ndarray
    loaded_latency_ns: np.ndarray
    node_read_bytes_per_ns: np.ndarray
    node_write_bytes_per_ns: np.ndarray
    link_bytes_per_ns: np.ndarray
    resources: tuple[str, ...]
    utilisation: np.ndarray
    background_share: np.ndarray
    residual: float

    @cached_property
    def op_p50_ns(self) -> np.ndarray:
        """Median operation time, float64[A]; see `op_quantile_ns`."""
        return self.op_quantile_ns(0.5)

    @cached_property
    def op_p99_ns(self) -> np.ndarray:
        """99th percentile of operation time, float64[A]; see `op_quantile_ns`."""
        return self.op_quantile_ns(0.99)

    def op_quantile_ns(self, share: float) -> np.ndarray:
        """Operation time that this share of operations does not exceed, float64[A].

        Notes
        -----
        Assumption: a gamma distribution with the mean and variance that follow if each miss goes
        to a node by its share and waits an exponential time in the queues there.
        """
        out = self.op_ns.copy()
        spread = self.op_variance_ns2 > 1e-12 * self.op_ns**2
        shape = self.op_ns[spread] ** 2 / self.op_variance_ns2[spread]
        out[spread] *= gamma_quantile(shape, share)
        return out


class CostModel:
    """The machine as shared resources; made once per run, holds no state.

    Parameters
    ----------
    topology : Topology
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.idle_ns = topology.idle_latency_ns
        self.plumbing = plumb(topology)
        self.resources = self.plumbing.resources

    def solve(
        self,
        demands: Sequence[Demand],
        background: Sequence[Background] = (),
        cores_taken: Sequence[float] | np.ndarray | None = None,
        start_delay_ns: np.ndarray | float | None = None,
    ) -> Solution:
        """Throughputs and latencies while nothing changes.

        Parameters
        ----------
        demands : sequence of Demand
        background : sequence of Background
        cores_taken : sequence of float, optional
            Cores of every accessor that somebody else uses (kdamonds, kswapd).
        start_delay_ns : float64[R] or float, optional
            Delays of the resources to start the search from; for tests.

        Returns
        -------
        Solution

        Raises
        ------
        ValueError
            If a demand is negative or has no finite speed.

        Notes
        -----
        Assumption: a line waits once for everything it occupies, a written-back one also for its
        way back. Where threads and what takes cores exceed the cores, all share them evenly.
        """
        for demand in demands:
            _check(demand, len(self.topology.nodes))
        threads = self._threads(demands, cores_taken)
        running = [k for k, d in enumerate(demands) if threads[k] > 0 and d.pace_per_ns > 0]
        waiting, served = self._background_load(background)
        actors = [self._actor(demands[k], float(threads[k])) for k in running]
        mixed = mix(self.resources, actors, waiting, start_delay_ns)

        rate, op_ns, variance = np.zeros((3, len(demands)))
        rate[running] = mixed.rate_per_ns
        loaded = self.idle_ns + self.plumbing.reads @ mixed.delay_ns
        for actor, k in enumerate(running):
            demand, sharing = demands[k], demands[k].threads / threads[k]
            cap = self._parallelism_cap(demand.accessor, float(threads[k]))
            within = _variance(demand, cap, self.idle_ns[demand.accessor], loaded[demand.accessor])
            op_ns[k] = mixed.time_ns[actor] * sharing
            variance[k] = (within + mixed.variance_ns2[actor]) * sharing**2
        reads, writes, load = self._traffic(demands, rate, background, served)
        return Solution(
            ops_per_ns=rate,
            op_ns=op_ns,
            op_variance_ns2=variance,
            loaded_latency_ns=loaded,
            node_read_bytes_per_ns=reads,
            node_write_bytes_per_ns=writes,
            link_bytes_per_ns=load[self.plumbing.links],
            resources=self.resources.names,
            utilisation=load / self.resources.capacity,
            background_share=served,
            residual=mixed.residual,
        )

    def _threads(
        self, demands: Sequence[Demand], cores_taken: Sequence[float] | np.ndarray | None
    ) -> np.ndarray:
        """Threads of each demand that make progress at once."""
        threads = np.array([float(demand.threads) for demand in demands])
        for a, accessor in enumerate(self.topology.accessors):
            mine = [k for k, demand in enumerate(demands) if demand.accessor == a]
            taken = 0.0 if cores_taken is None else float(cores_taken[a])
            wanted = float(threads[mine].sum())
            crowd = wanted + taken
            if crowd > accessor.nr_cores:  # a fair scheduler: all get the same part of a core
                threads[mine] *= accessor.nr_cores / crowd
        return threads

    def _parallelism_cap(self, accessor: int, threads: float) -> float:
        """Most lines one thread keeps in flight."""
        who = self.topology.accessors[accessor]
        if who.in_flight_bytes is not None:
            return who.in_flight_bytes / LINE_BYTES / threads
        return float(who.max_outstanding)

    def _background_load(self, background: Sequence[Background]) -> tuple[np.ndarray, np.ndarray]:
        """Load per resource, and how much of each flow the machine can serve."""
        flows = np.zeros((len(background), len(self.resources.names)))
        for i, flow in enumerate(background):
            read, write = self._ways(flow)
            flows[i] = flow.read_bytes_per_ns * read + flow.write_bytes_per_ns * write
        crowd = flows.sum(axis=0) / (MAX_BACKGROUND * self.resources.capacity)
        served = 1 / np.max(np.where(flows > 0, crowd, 0.0), axis=1, initial=1.0)
        return served @ flows, served

    def _ways(self, flow: Background) -> tuple[np.ndarray, np.ndarray]:
        if flow.accessor is None:
            return self.plumbing.node_reads[flow.node], self.plumbing.node_writes[flow.node]
        at = (flow.accessor, flow.node)
        return self.plumbing.reads[at], self.plumbing.writes[at]

    def _actor(self, demand: Demand, threads: float) -> Actor:
        """What the loop needs of a demand."""
        a, nothing = demand.accessor, np.zeros(len(self.resources.names))
        cap = self._parallelism_cap(a, threads)
        base = Part(demand.compute_ns + demand.stall_ns, nothing, nothing)
        fronts: list[list[tuple[float, Part]]] = []
        barriers = []
        for flow in demand.flows:
            total = float(np.sum(flow.lines))
            used = np.flatnonzero(flow.lines)
            rounds = 1 / min(flow.parallelism, cap)
            idle, waits = self.idle_ns[a], self._waits(a, flow.write_ratio)
            if flow.overlap == "serial" and used.size > 1:
                parts = [_lines(total, idle[n], waits[n], rounds) for n in used]
                shares = flow.lines[used] / total
                fronts.append(list(zip(shares.tolist(), parts, strict=True)))
            elif flow.overlap == "barrier" and used.size > 1:
                base = base.plus(Part(0.0, nothing, LINE_BYTES * (flow.lines @ waits)))
                barriers.append((total * rounds, idle[used], waits[used]))
            elif used.size:
                lines, way = flow.lines, flow.lines @ waits
                base = base.plus(Part(lines @ idle * rounds, way * rounds, LINE_BYTES * way))
        actor = Actor(threads, demand.pace_per_ns, base, _join(fronts), barriers)
        if not barriers and demand.pace_per_ns == np.inf and actor.part(-1).fixed_ns <= 0:
            raise ValueError(
                "an operation without compute time, misses or pace has no finite speed"
            )
        return actor

    def _waits(self, accessor: int, write_ratio: float) -> np.ndarray:
        """float64[N, R]: what a line from each node waits for and loads, its way back included."""
        waits: np.ndarray = (
            self.plumbing.reads[accessor] + write_ratio * self.plumbing.writes[accessor]
        )
        return waits

    def _traffic(
        self,
        demands: Sequence[Demand],
        rate: np.ndarray,
        background: Sequence[Background],
        served: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bytes per ns read from and written to each node, and load per resource."""
        reads, writes = np.zeros((2, len(self.topology.nodes)))
        load = np.zeros(len(self.resources.names))
        for k, demand in enumerate(demands):
            for flow in demand.flows:
                moved = rate[k] * LINE_BYTES * flow.lines
                reads += moved
                writes += flow.write_ratio * moved
                load += moved @ self._waits(demand.accessor, flow.write_ratio)
        for share, extra in zip(served, background, strict=True):
            read, write = share * extra.read_bytes_per_ns, share * extra.write_bytes_per_ns
            reads[extra.node] += read
            writes[extra.node] += write
            way_in, way_out = self._ways(extra)
            load += read * way_in + write * way_out
        return reads, writes, load


def _lines(lines: float, idle_ns: float, waits: np.ndarray, rounds: float) -> Part:
    """That many misses per operation to one node."""
    return Part(lines * idle_ns * rounds, lines * rounds * waits, LINE_BYTES * lines * waits)


def _join(fronts: list[list[tuple[float, Part]]]) -> list[tuple[float, Part]]:
    """Joint positions of one actor's fronts, which move independently."""
    if not fronts:
        return []
    joint = fronts[0]
    for front in fronts[1:]:
        joint = [(p * q, part.plus(other)) for p, part in joint for q, other in front]
    return joint


def _variance(demand: Demand, cap: float, idle_ns: np.ndarray, loaded_ns: np.ndarray) -> float:
    """Variance of an operation's time: each miss picks a node by share and waits in its queues."""
    queued = loaded_ns - idle_ns
    total = 0.0
    for flow in demand.flows:
        lines = float(np.sum(flow.lines))
        if lines <= 0:
            continue
        share = flow.lines / lines
        if flow.overlap == "dynamic":
            second = share @ (idle_ns**2 + 2 * idle_ns * queued + 2 * queued**2)
            single = second - (share @ loaded_ns) ** 2
        else:
            single = share @ queued**2
        total += lines / min(flow.parallelism, cap) * max(float(single), 0.0)
    return total


def _check(demand: Demand, nodes: int) -> None:
    if min(demand.compute_ns, demand.stall_ns, demand.threads, demand.pace_per_ns) < 0:
        raise ValueError(f"a demand holds something negative: {demand}")
    for flow in demand.flows:
        if np.shape(flow.lines) != (nodes,):
            raise ValueError(f"expected lines for {nodes} nodes, got {np.shape(flow.lines)}")
        if not (np.min(flow.lines) >= 0 and flow.parallelism > 0 and flow.write_ratio >= 0):
            raise ValueError(f"a flow holds something negative: {flow}")
